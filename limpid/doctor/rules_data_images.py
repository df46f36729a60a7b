"""Images in a wrong order, odd images, and augmentation that breaks labels: D04, D14, D18."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.numbers import finite

ORDER = Threshold(
    0.7,
    "roughness read as (H, W, C) / roughness",
    "ours: four sets of pictures have 1.4 to 4.2, 0.03 to 0.43 when wrong",
    "noise has 1 either way",
)
NO_SMOOTHER = Threshold(1.3, "the same", "ours: unrelated smooth channels have 1.4 to 4.2", "a guess")
APART = Threshold(0.3, "correlation of channels as the shape says", "ours", "a guess")
AGREE = Threshold(0.8, "correlation of channels in the other reading", "ours: tinted noise has 1.0", "a guess")
BGR = Threshold(0.04, "mean of channel 3 - mean of channel 1, of 1", "ours", "snow is blue")
COSTS = Threshold(0.02, "share of validation images", "ours", "small splits scatter as much")
SURE = Threshold(3.0, "gain / its standard error", "ours: three deviations", "trainings scatter beside rows")
LOST = Threshold(0.3, "share of training labels lost by augmentation", "USERS.md D14", "strong augmentation loses some")
REPEATED = Threshold(0.01, "share of images changed alike in eight epochs", "USERS.md D14", "certain")
EMPTY = Threshold(0.05, "share of images of one colour", "ours", "blank pages are natural in scans")


def layout(evidence: Evidence) -> Verdict | None:
    """Whether channels and pixels lie where the shape says."""
    probe = evidence.probe("pictures")
    if probe is None:
        return None
    order = finite(probe.get("order"))
    agreement, other = finite(probe.get("agreement")), finite(probe.get("agreement_other"))
    statistics: dict[str, Any] = {"order": order, "agreement": agreement, "other": other, "shape": probe.get("shape")}
    if probe.get("channels_last"):
        finding = Finding(
            level="warning",
            symptom=f"Images have the shape {tuple(probe.get('shape') or ())}, which is height, width, channels.",
            value=float((probe.get("shape") or [0])[0]),
            threshold=4.0,
            n=probe.get("n"),
            remedy="Swap the axes with permute(0, 3, 1, 2); convolutions take channels first.",
        )
        return Verdict(statistics, (finding,))
    if order is not None and order < ORDER.value:
        finding = Finding(
            level="warning",
            symptom=f"Read as height, width, channels the images are {1 / max(order, 1e-9):.2g} times as smooth.",
            value=order,
            threshold=ORDER.value,
            n=probe.get("n"),
        )
        return Verdict(statistics, (finding,))
    if (
        order is not None
        and agreement is not None
        and other is not None
        and order < NO_SMOOTHER.value
        and agreement < APART.value < AGREE.value < other
    ):
        finding = Finding(
            level="warning",
            symptom=f"Read as height, width, channels the channels of a pixel correlate by {other:.2f}, as the shape "
            f"says by {agreement:.2f}.",
            value=other,
            threshold=AGREE.value,
            n=probe.get("n"),
        )
        return Verdict(statistics, (finding,))
    means = [finite(mean) for mean in probe.get("channel_means") or ()]
    if len(means) == 3 and means[0] is not None and means[2] is not None and evidence.option("model.pretrained"):
        unit = 255.0 if max(mean or 0.0 for mean in means) > 2.0 else 1.0
        blue = (means[2] - means[0]) / unit
        statistics["blue"] = blue
        if blue > BGR.value:
            finding = Finding(
                level="note",
                symptom=f"The third channel is brighter than the first by {blue:.2f}: is the order blue, green, red?",
                value=blue,
                threshold=BGR.value,
                n=probe.get("n"),
                sure="suspected",
                cause="OpenCV reads blue first; published weights expect red first.",
                remedy="If so, turn the channels around.",
            )
            return Verdict(statistics, (finding,))
    return Verdict(statistics)


def augmentation(evidence: Evidence) -> Verdict | None:
    """What the network loses on augmented training images, and what it gains when trained without strong changes."""
    shown, without = evidence.probe("augmented"), evidence.probe("unaugmented")
    if shown is None and without is None:
        return None
    shown, without = shown or {}, without or {}
    clean, kept = finite(shown.get("clean")), finite(shown.get("augmented"))
    gain, se, repeated = finite(without.get("gain")), finite(without.get("se")), finite(shown.get("repeated")) or 0.0
    statistics = {"clean": clean, "augmented": kept, "repeated": repeated, "gain": gain, "se": se}
    findings: list[Finding] = []
    if gain is not None and se is not None and gain > COSTS.value and gain > SURE.value * se:
        changes = ", ".join(map(str, without.get("options") or ()))
        findings.append(
            Finding(
                level="warning",
                symptom=f"Without {changes} the same training errs on {finite(without.get('free_error')) or 0.0:.1%} "
                f"of the validation images, with it on {finite(without.get('error')) or 0.0:.1%}.",
                value=gain,
                threshold=COSTS.value,
                n=without.get("n"),
                sure="confirmed",
            )
        )
    if clean is not None and kept is not None and clean - kept > LOST.value and not findings:
        findings.append(
            Finding(
                level="warning",
                symptom=f"The trained network is right on {clean:.0%} of the training images, and on {kept:.0%} "
                "of the same images augmented.",
                value=clean - kept,
                threshold=LOST.value,
                n=shown.get("n"),
            )
        )
    if repeated > REPEATED.value:
        findings.append(
            Finding(
                level="warning",
                symptom=f"{repeated:.0%} of the images are changed in the same way in every epoch.",
                value=repeated,
                threshold=REPEATED.value,
                where="epochs",
                n=shown.get("n"),
                cause="The random numbers of the augmentation do not depend on the epoch.",
                remedy="Derive their seed from epoch and row.",
            )
        )
    return Verdict(statistics, tuple(findings))


def odd_images(evidence: Evidence) -> Verdict | None:
    """Images of one colour, grey ones among coloured ones, files that could not be read."""
    probe = evidence.probe("pictures")
    if probe is None or not finite(probe.get("n")):
        return None
    num, flat, grey = probe["n"], finite(probe.get("flat")) or 0.0, finite(probe.get("grey")) or 0.0
    summary = evidence.header.get("summary")
    notes = summary.get("notes") if isinstance(summary, Mapping) else None
    bad = next((m for note in notes or () if (m := re.match(r"(\d+) unreadable image", str(note)))), None)
    statistics = {"one_colour": flat / num, "grey": grey / num, "unreadable": float(bad[1]) if bad else 0.0}
    findings = []
    if flat:
        findings.append(
            Finding(
                level="warning" if flat / num > EMPTY.value else "note",
                symptom=f"{flat:.0f} of {num} images are of one colour.",
                value=flat / num,
                threshold=EMPTY.value,
                where="one colour",
                n=num,
                rows=tuple(str(row) for row in probe.get("flat_rows") or ()),
            )
        )
    if 0 < grey < num / 2:
        findings.append(
            Finding(
                level="note",
                symptom=f"{grey:.0f} of {num} images are grey among coloured ones.",
                value=grey / num,
                threshold=0.0,
                where="grey",
                n=num,
                rows=tuple(str(row) for row in probe.get("grey_rows") or ()),
                cause="Sources were mixed. If grey goes with a class, the network will learn that.",
                remedy="Compare the share of grey images per class, or set data.colour=grey.",
            )
        )
    if bad:
        findings.append(
            Finding(
                level="note",
                symptom=f"{bad[1]} image files could not be read and were left out.",
                value=float(bad[1]),
                threshold=0.0,
                where="unreadable",
                cause="The files are damaged or no images.",
                remedy="Repair or remove them.",
            )
        )
    return Verdict(statistics, tuple(findings))


CHECKS = (
    Check(
        code="D04",
        name="image-layout",
        question="Do channels and pixels lie where the shape says?",
        rule=layout,
        when="before",
        cause="Axes were regrouped (reshape, view) instead of swapped (permute, transpose).",
        remedy="Use permute(0, 3, 1, 2) where the arrays are made.",
        thresholds={"order": ORDER, "no_smoother": NO_SMOOTHER, "apart": APART, "agree": AGREE, "bgr": BGR},
        explains=("G01", "G02", "G15"),
        reads=("pictures",),
    ),
    Check(
        code="D14",
        name="augmentation",
        question="Do augmented images keep their labels, and differ from epoch to epoch?",
        rule=augmentation,
        when="after",
        cause="The change that is applied turns one class into another, or images into what no class looks like.",
        remedy="Leave out the change that does it: a half turn makes 9 of 6, a mirror image d of b.",
        thresholds={"costs": COSTS, "sure": SURE, "lost": LOST, "repeated": REPEATED},
        treatments=("less-augment",),
        explains=("G01", "G09", "G15"),
        reads=("augmented", "unaugmented"),
    ),
    Check(
        code="D18",
        name="odd-images",
        question="Are there empty, unreadable or grey images among the others?",
        rule=odd_images,
        when="before",
        cause="Decoding failed quietly, or sources were mixed.",
        remedy="Look at these files, and leave them out if they show nothing.",
        thresholds={"empty": EMPTY},
        treatments=("drop-rows",),
        reads=("pictures",),
    ),
)
