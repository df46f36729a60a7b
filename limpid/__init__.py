"""Limpid: deep learning you can see through. This file is the public list and the map; start reading here.

    config.py -> data/ -> models/ -> objectives/ -> optim/ -> training/ -> record/ -> reporting/   show it
                 what     what       what is         how it    the loop    what    -> deploy/      use it
                 goes in  computes   wanted          moves                 happened -> interpret/  what was learned

`workbench.py` sees one run through these folders, in this order. What stands left of `record/` produces a run, what
stands right of it reads one, by the verbs of `finished.py`. `probes/` measure, `doctor/` judges what is wrong, and
`practice/` applies both. `spec.py` holds the one value that crosses from the data to everybody else, `catalogue/` the
names of all parts. `cli.py` is the terminal's edge, `estimators.py` scikit-learn's.

Three depths, one path:

    run = limpid.train("cells.csv", target="kind")                            # one call
    run = limpid.train(config, model=my_module)                               # every knob
    for batch in loader: limpid.train_step(model, objective, optimizer, batch)  # your loop, our step

Importing `limpid` loads nothing else: each name below brings its part with it on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limpid.config import Config
    from limpid.config_reader import load_config
    from limpid.estimators import Classifier, Regressor
    from limpid.finished import compare, explain, export, forecast, generate, predict, report, translate
    from limpid.practice.attending import Doctor
    from limpid.practice.auditing import audit
    from limpid.practice.race import race
    from limpid.record.run import Run
    from limpid.search.tuning import tune
    from limpid.several import Population
    from limpid.training.step import train_step
    from limpid.workbench import check, diagnose, ensemble, find_rate, load_data, train

__version__ = "0.1.0"

__all__ = [
    "Classifier",
    "Config",
    "Doctor",
    "Population",
    "Regressor",
    "Run",
    "__version__",
    "audit",
    "check",
    "compare",
    "diagnose",
    "ensemble",
    "explain",
    "export",
    "find_rate",
    "forecast",
    "generate",
    "load_config",
    "load_data",
    "predict",
    "race",
    "report",
    "train",
    "train_step",
    "translate",
    "tune",
]

_HOMES = {
    "Classifier": "limpid.estimators",
    "Config": "limpid.config",
    "Doctor": "limpid.practice.attending",
    "Population": "limpid.several",
    "Regressor": "limpid.estimators",
    "Run": "limpid.record.run",
    "audit": "limpid.practice.auditing",
    "check": "limpid.workbench",
    "compare": "limpid.finished",
    "diagnose": "limpid.workbench",
    "ensemble": "limpid.workbench",
    "explain": "limpid.finished",
    "export": "limpid.finished",
    "find_rate": "limpid.workbench",
    "forecast": "limpid.finished",
    "generate": "limpid.finished",
    "load_config": "limpid.config_reader",
    "load_data": "limpid.workbench",
    "predict": "limpid.finished",
    "race": "limpid.practice.race",
    "report": "limpid.finished",
    "train": "limpid.workbench",
    "train_step": "limpid.training.step",
    "translate": "limpid.finished",
    "tune": "limpid.search.tuning",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its home on first use, and keep it."""
    if name not in _HOMES:
        raise AttributeError(f"limpid has no public name {name!r}; it has {', '.join(__all__)}.")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
