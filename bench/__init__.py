"""Limpid against the programs that a user would otherwise pick: `python -m bench`. The package never imports this."""
