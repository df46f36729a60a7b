"""The treatments by name. Each file `remedies_*` of this folder brings those of one subject."""

from __future__ import annotations

from limpid.doctor import remedies_data, remedies_network, remedies_step
from limpid.doctor.treatment import Treatment

TREATMENTS: dict[str, Treatment] = {
    treatment.name: treatment
    for treatment in (
        *remedies_step.TREATMENTS,
        *remedies_network.TREATMENTS,
        *remedies_data.TREATMENTS,
        *remedies_data.BY_HAND,
    )
}
