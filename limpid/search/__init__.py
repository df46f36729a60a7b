"""Searches for better settings: ask for a configuration, train it in a population, tell what came of it."""
