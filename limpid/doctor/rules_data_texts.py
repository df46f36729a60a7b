"""Are texts whole, known, and told apart from their padding? D17."""

from __future__ import annotations

from collections.abc import Mapping

from limpid.doctor.check import Check, Threshold
from limpid.doctor.evidence import Evidence
from limpid.doctor.finding import Finding, Verdict
from limpid.doctor.numbers import finite

UNKNOWN = Threshold(0.05, "share of unknown tokens", "USERS.md D17", "names are unknown rightly")
MOST_UNKNOWN = Threshold(0.2, "share of unknown tokens", "ours", "a guess")
CUT = Threshold(0.2, "share of texts that are cut", "USERS.md D17", "the beginning is often enough")
GONE = Threshold(0.5, "share of all tokens that are cut off", "ours", "the beginning is often enough")
ON_PADDING = Threshold(0.02, "share of the gradient on padding", "USERS.md D17 asks for none", "certain")
MOVES = Threshold(0.05, "change of answers under more padding / their spread", "ours", "rounding moves it a little")


def texts(evidence: Evidence) -> Verdict | None:
    """What is unknown, cut off, or padding that is not left out."""
    tokens, padding = evidence.probe("tokens") or {}, evidence.probe("padding") or {}
    summary = evidence.header.get("summary")
    cut = summary.get("cut") if isinstance(summary, Mapping) else None
    cut = cut if isinstance(cut, Mapping) else {}
    if not tokens and not padding and not cut:
        return None
    unknown = max((finite((tokens.get(part) or {}).get("unknown")) or 0.0 for part in ("train", "valid")), default=0.0)
    cut_texts, gone = finite(cut.get("texts")) or 0.0, finite(cut.get("tokens")) or 0.0
    on_padding, moved = finite(padding.get("loss_on_padding")) or 0.0, finite(padding.get("moved")) or 0.0
    statistics = {"unknown": unknown, "cut": cut_texts, "gone": gone, "loss_on_padding": on_padding, "moved": moved}
    findings = []
    if on_padding > ON_PADDING.value:
        findings.append(
            Finding(
                level="warning",
                symptom=f"{on_padding:.0%} of the gradient of the loss comes from padding.",
                value=on_padding,
                threshold=ON_PADDING.value,
                cause="The loss counts places behind the end of the sequences.",
                remedy="Give these targets the value that the loss leaves out (ignore_index=-100).",
            )
        )
    if moved > MOVES.value:
        findings.append(
            Finding(
                level="warning",
                symptom=f"Padding changes the answers: twice as long, they move by {moved:.0%} of their spread.",
                value=moved,
                threshold=MOVES.value,
                sure="confirmed",
                cause="Attention, pooling or the last state reads places behind the end of the sequences.",
                remedy="Mask these places, or take the state at the last real token.",
            )
        )
    if unknown > UNKNOWN.value:
        findings.append(
            Finding(
                level="warning" if unknown > MOST_UNKNOWN.value else "note",
                symptom=f"{unknown:.1%} of the tokens are unknown.",
                value=unknown,
                threshold=UNKNOWN.value,
                cause="The vocabulary is small, or validation texts are of another kind.",
                remedy="Allow a larger vocabulary (data.vocabulary), or parts of words (data.tokens=bpe).",
            )
        )
    if cut_texts > CUT.value:
        findings.append(
            Finding(
                level="warning" if gone > GONE.value else "note",
                symptom=f"{cut_texts:.0%} of the texts are cut; {gone:.0%} of all tokens are lost.",
                value=cut_texts,
                threshold=CUT.value,
                cause="The context is shorter than the texts.",
                remedy="Allow more with data.context, if what decides may come late.",
            )
        )
    return Verdict(statistics, tuple(findings))


CHECKS = (
    Check(
        code="D17",
        name="tokens",
        question="Are texts whole, known, and told apart from their padding?",
        rule=texts,
        when="before",
        cause="Vocabulary, context or masks do not fit the texts.",
        remedy="See data.vocabulary and data.context; mask padding in network and loss.",
        thresholds={
            "unknown": UNKNOWN,
            "most_unknown": MOST_UNKNOWN,
            "cut": CUT,
            "gone": GONE,
            "on_padding": ON_PADDING,
            "moves": MOVES,
        },
        explains=("D07", "D08", "D09"),
        reads=("tokens", "padding"),
    ),
)
