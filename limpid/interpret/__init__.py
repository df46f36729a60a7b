"""What was learned: views of a trained network on one row, as plain numbers; reporting/ draws them.

A view is a file with one function that takes (network, sample) and returns plain numbers; `views.py` lists them.
"""
