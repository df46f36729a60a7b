"""All probes, in the order in which they are made."""

from __future__ import annotations

from limpid.probes.after_probes import AFTERWARDS
from limpid.probes.cheap_probes import CHEAP
from limpid.probes.check_probes import CHECKED
from limpid.probes.probe import Probe

PROBES: tuple[Probe, ...] = (*CHEAP, *CHECKED, *AFTERWARDS)
