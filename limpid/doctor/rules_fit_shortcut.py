"""Does the network hang on one small part of its input? G13."""

from __future__ import annotations

from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Picture, Verdict
from limpid.doctor.numbers import finite

COLLAPSE = Threshold(0.8, "share of what the network gained over a constant answer", "USERS: 90 % of attribution", "-")
OTHERS = Threshold(0.25, "share of that gain", "ours: the next part's, so that one part stands alone", "-")
SMALL = Threshold(0.07, "share of the input", "ours: a part of a grid of six by six, or one of 15 columns", "-")
TELLS = Threshold(0.8, "of what a constant answer does not know", "ours; a part of a real picture tells 0.3", "-")
USED = Threshold(0.05, "share of the network's gain that goes without it", "ours: more than noise", "-")
ALIKE = 0.75  # of what the most telling part tells; two that tell alike are no mark but the subject
LEAST_GAIN = 0.2  # of the error of a constant answer; a network that learned little hangs on nothing


def hangs_on_one_part(evidence: Evidence) -> Verdict | None:
    """(error with a part covered - error) / (a constant answer's error - error), of the costliest part and the next."""
    probe = evidence.probe("shortcut")
    if probe is None:
        return None
    error, constant = finite(probe.get("error")), finite(probe.get("constant"))
    parts = [part for part in probe.get("parts") or () if finite(part.get("error")) is not None]
    if error is None or constant is None or len(parts) < 3:
        return None
    gain = constant - error
    if gain <= LEAST_GAIN * constant:
        return Verdict({"gain": gain})
    drops = [(part["error"] - error) / gain for part in parts]
    first, share = parts[0], finite(parts[0].get("share")) or 1.0
    statistics = {"part": first.get("name"), "collapse": drops[0], "next": drops[1], "share": share}
    image = evidence.spec.get("kind") == "image"
    mark = _telling_mark(parts, constant)
    statistics["mark"] = None if mark is None else mark.get("name")
    if mark is not None and mark is first and drops[0] > USED.value and drops[1] < drops[0] / 2:
        knows = 1 - mark["alone"] / constant
        finding = Finding(
            level="warning",
            symptom=f"{str(mark.get('name')).capitalize()}, {100 * share:.1f} % of the picture at its border, give "
            f"{100 * knows:.0f} % of the answer away by themselves, and the network uses them more than others.",
            value=knows,
            threshold=TELLS.value,
            where=str(mark.get("name", "")),
            n=int(finite(probe.get("n")) or 0),
            sure="confirmed",
        )
        return Verdict(statistics, (finding,))
    if drops[0] <= COLLAPSE.value or drops[1] >= OTHERS.value or share > SMALL.value:
        return Verdict(statistics)
    finding = Finding(
        level="warning" if image and first.get("border") else "note",
        symptom=f"Without {first.get('name')}, {100 * share:.1f} % of the input, the network loses "
        f"{100 * drops[0]:.0f} % of what it knows; without any other part at most {100 * drops[1]:.0f} %.",
        value=drops[0],
        threshold=COLLAPSE.value,
        where=str(first.get("name", "")),
        n=int(finite(probe.get("n")) or 0),
        sure="confirmed",
        picture=Picture(
            "share of the gain that is lost without a part", {"lost": tuple(drops)}, tuple(p["name"] for p in parts), ""
        ),
    )
    return Verdict(statistics, (finding,))


def _telling_mark(parts: list[dict[str, Any]], constant: float) -> dict[str, Any] | None:
    """The part at the border that alone gives the answer away as no part elsewhere does."""
    known = [(part, 1 - alone / constant) for part in parts if (alone := finite(part.get("alone"))) is not None]
    known.sort(key=lambda item: -item[1])
    if len(known) < 2 or known[0][1] < TELLS.value or not known[0][0].get("border"):
        return None
    return known[0][0] if known[1][1] < ALIKE * known[0][1] else None


CHECKS = (
    Check(
        code="G13",
        name="shortcut",
        question="Does the network use more than one small part of its input?",
        rule=hangs_on_one_part,
        when="after",
        cause="Something small beside the subject gives the answer away here, and may not elsewhere: a mark, a frame, "
        "a column that knows the answer.",
        remedy="Ask whether that part will be there in use; mask it, collect rows without it, or drop the column.",
        thresholds={"collapse": COLLAPSE, "others": OTHERS, "small": SMALL, "tells": TELLS, "used": USED},
        treatments=("drop-column", "augment"),
        explains=("G01", "G05", "G15"),
        reads=("shortcut",),
    ),
)
