"""Searches for better settings: ask for a configuration, train it in a population, tell what came of it.

tuning.py         limpid.tune
opening.py        from what was asked to a folder and data, or back to them
search.py         a search, top to bottom
plan.py           what is asked of a search
space.py          knobs (knob.py), from TOML (space_file.py) or by default (default_space.py), checked (space_check.py)
samplers.py       what is tried next (two_stage.py, evolution.py, architecture.py), and what is let go (pruners.py)
study.py          the trials as optuna knows them (journal.py)
stages.py         the asking side of the population: first trials.py, then finalists.py
winner.py         the winner's run and configuration
folder.py         what is written
result.py         what is handed back
examination.py    what the sweep doctor says, and what to search next (next_search.py)
"""
