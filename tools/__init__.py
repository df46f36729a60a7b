"""Small programs for those who work on Limpid; no part of the package."""
