"""Optimisers by name."""

from __future__ import annotations

from limpid.catalogue.adaptive import ADAPTIVE
from limpid.catalogue.descent import DESCENT
from limpid.catalogue.optimizer_part import OptimizerPart
from limpid.catalogue.part import Catalogue

OPTIMIZERS: Catalogue[OptimizerPart] = Catalogue("optimizer", "optim", (*DESCENT, *ADAPTIVE))
