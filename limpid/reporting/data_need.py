"""How many rows a network would need by the rule of thumb of ten for each free parameter, beside what there are."""

from __future__ import annotations

from limpid.reporting.text import number

ROWS_PER_PARAMETER = 10  # an old rule for linear models; networks with far more parameters than rows often do well


def data_need(parameters: int, rows: int) -> str:
    """The rule's number of rows and the actual one, as half a sentence.

    >>> data_need(37_000_000, 60_000)
    'rule of thumb: 370,000,000 rows, ten each; there are 60,000. Networks often break it'
    """
    wanted = ROWS_PER_PARAMETER * parameters
    verdict = "Networks often break it" if rows < wanted else "It is met"
    return f"rule of thumb: {number(wanted)} rows, ten each; there are {number(rows)}. {verdict}"
