"""`python -m limpid` is the command `limpid`."""

from limpid.cli import run

run()
