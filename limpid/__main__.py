"""The command `limpid`, also as `python -m limpid`: the console script's first lines, before anything is imported."""

import sys


def run() -> None:
    """Start the terminal's edge. A Ctrl-C while it is still loading ends as quietly as a later one."""
    try:
        from limpid.cli import run as start
    except KeyboardInterrupt:
        sys.exit(130)
    start()


if __name__ == "__main__":
    run()
