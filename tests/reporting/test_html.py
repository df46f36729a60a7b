"""The page: whole, closed to the outside, deaf to hostile text, and honest about what is missing."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limpid.record.run import Run
from limpid.reporting.html import write_report
from limpid.reporting.page import content_policy, json_island, plotly_source
from limpid.reporting.png import stretch
from limpid.spec import DataSpec

HOSTILE = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "<a href='https://example.org'>here</a>",
    "[red]bold[/red] {{ 7 * 7 }} {% raw %}",
    "one\u2028two",
    "\x1b[31mred\x1b[0m",
    "left\u202eright",
    "<!--<script>",
    "%{customdata} &lt;b&gt;",
]


PLOTLY = plotly_source()


class Page(HTMLParser):
    """Elements with their attributes, the text outside scripts, and the scripts."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles: list[str] = []
        self.text = ""
        self._inside: str | None = None
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.text += " "
        if tag in ("script", "style"):
            self._inside = tag
            if tag == "script":
                self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self._inside == "style":
            self.styles.append(data)
        else:
            self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    @property
    def figures(self) -> dict[str, Any]:
        return next((json.loads(text) for attributes, text in self.scripts if attributes.get("id") == "figures"), {})


def read_page(run: Run) -> Page:
    """The page, with a word in place of the millions of characters of plotly.js, which take long to parse."""
    return Page(write_report(run).read_text(encoding="utf-8").replace(PLOTLY, "plotly"))


def test_headline_of_a_classification_run(classification: Run) -> None:
    page, result = read_page(classification), classification.events("result")[0]
    low, high = result["interval"]["accuracy"]
    assert f"{100 * result['accuracy']:.2f} %" in page.words
    assert f"95 % interval {100 * low:.2f} to {100 * high:.2f} %, n = 270" in page.words
    with np.load(classification.path / "predictions.npz") as arrays:
        usual = float((arrays["target"] == 9).mean())  # class 9 is the most frequent one of the training split
    assert f"knowing nothing {100 * usual:.2f} %" in page.words
    assert "6.31 s" in page.words
    assert "103 thousand samples/s" in page.words
    assert "35.70 %" in page.words  # share of the floor
    assert "best epoch 10" in page.words
    assert "test accuracy" in page.words


def test_plotly_is_inlined_once_and_nothing_comes_from_outside(classification: Run) -> None:
    source = write_report(classification).read_text(encoding="utf-8")
    page = Page(source)
    assert [len(text) > 1_000_000 for _, text in page.scripts].count(True) == 1
    assert source.count("plotly.js v") == 1
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form"), tag
        for name, value in attributes.items():
            assert not name.startswith("on"), f"{tag} has an inline handler {name}"
            if name in ("src", "href", "srcset", "data", "action", "poster"):
                assert (value or "").startswith("data:image/png;base64,"), f"{tag} {name} = {value!r}"
    assert not any("url(" in style or "@import" in style or "http" in style for style in page.styles)
    own = [text for _, text in page.scripts if len(text) < 1_000_000]
    assert not any("http" in text for text in own)


def test_policy_admits_exactly_the_scripts_of_the_page(classification: Run) -> None:
    page = Page(write_report(classification).read_text(encoding="utf-8"))
    policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    running = [text for attributes, text in page.scripts if attributes.get("type") != "application/json"]
    digests = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in running}
    assert {f"'sha256-{digest}'" for digest in digests} == set(rules["script-src"].split())
    assert "unsafe" not in rules["script-src"]
    assert "connect-src" not in rules


def test_policy_skips_scripts_that_are_not_there() -> None:
    assert content_policy("", "x").count("sha256-") == 1


def test_pictures_are_valid_png_of_the_worst_rows(classification: Run) -> None:
    page = read_page(classification)
    pictures = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(pictures) == 24
    with (
        np.load(classification.path / "samples.npz") as samples,
        np.load(classification.path / "predictions.npz") as rows,
    ):
        first = samples["images"][0]
        source_row = int(rows["index"][rows["losses"].argmax()])
    assert (pictures[0]["alt"] or "").startswith(f"row {source_row},")
    data = base64.b64decode((pictures[0]["src"] or "").partition(",")[2])
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (28, 28)
    size = struct.unpack(">I", data[33:37])[0]
    pixels = np.frombuffer(zlib.decompress(data[41 : 41 + size]), np.uint8).reshape(28, 29)
    assert (pixels[:, 0] == 0).all()
    assert (pixels[:, 1:] == first[:, :, 0]).all()


def hostile_run(text: str, make_empty: Callable[..., Run], make_spec: Callable[..., DataSpec]) -> Run:
    """A run with the text in every place that a user or a file can fill."""
    spec = make_spec((text, text + "2", "c"), name=text)
    layer = {"name": text, "kind": text, "output_shape": text, "parameters": 1, "macs": 1}
    config = {"data": {"source": text, text: [text]}, "model": {"name": text}, "training": {"epochs": 3}}
    summary = {
        "path": text,
        text: text,
        "columns": [{"column": text, text: text}],
        "lines": [text],
        "map": {text: text},
    }
    run = make_empty(
        spec=spec, config=config, given=config, summary=summary, created=text, limpid=text, fingerprint=text,
        model={"name": text, "parameters": 1, "macs": 1, "layers": [layer]}, machine={"cpu": text, text: text},
    )  # fmt: skip
    run.add("metric", split="valid", step=1, epoch=1, loss=1.0, accuracy=0.5, **{"x" + text: 0.5})
    run.add("note", text=text)
    run.add("result", split="test", step=1, epoch=1, n=3, loss=1.0, score="accuracy", accuracy=0.5, **{"x" + text: 0.5})
    run.add("predictions", split="test", file="predictions.npz")
    run.add("end", status="failed", reason=text, step=1)
    np.savez(run.path / "predictions.npz", target=np.array([0, 1, 2]), prediction=np.array([1, 1, 0]),
             losses=np.array([3.0, 2, 1]), name=np.array([text, text, text]))  # fmt: skip
    run.close()
    return Run.open(run.path)


def test_dark_pictures_are_brightened_together() -> None:
    images = np.array([[[[4]], [[16]]], [[[0]], [[8]]]], np.uint8)
    assert stretch(images).ravel().tolist() == [63, 255, 0, 127]
    bright = np.array([[[[200]]]], np.uint8)
    assert (stretch(bright) == bright).all()
    assert (stretch(np.zeros((2, 3, 3, 1), np.uint8)) == 0).all()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_shown(
    text: str, make_empty: Callable[..., Run], make_spec: Callable[..., DataSpec]
) -> None:
    run = hostile_run(text, make_empty, make_spec)
    source = write_report(run).read_text(encoding="utf-8").replace(PLOTLY, "plotly")
    page = Page(source)
    assert [a for tag, a in page.elements if tag in ("img", "iframe", "svg", "a")] == []
    assert len(page.scripts) == 3
    assert "\x1b" not in source
    assert "\u2028" not in source
    seen = text.replace("\x1b", "\\x1b").replace("\u2028", "\\u2028").replace("\n", "\\n").replace("\u202e", "\\u202e")
    assert " ".join(seen.split()) in page.words
    drawn = page.figures["confusion"]["data"][0]["customdata"][0][0][1]
    assert "<" not in drawn  # plotly reads tags in labels


def test_json_island_survives_a_browser_and_a_parser() -> None:
    value = {"</script>": ["<!--", "&amp;", "\u2028\u2029", "ü", None, 1.5]}
    island = json_island(value)
    assert not set("<>&\u2028\u2029") & set(island)
    assert json.loads(island) == value
    with pytest.raises(ValueError, match="JSON"):
        json_island([math.nan])


@pytest.mark.parametrize(
    ("status", "reason", "sentence"),
    [
        ("stopped", "Ctrl-C", "Stopped at epoch 4 of 12, step 80. Ctrl-C. The figures"),
        (
            "failed",
            "NaN in the loss, first in body.2",
            "Failed at epoch 4 of 12, step 80: NaN in the loss, first in body.2.",
        ),
        (None, "", "Not finished: the record ends at epoch 4 of 12, step 80."),
    ],
)
def test_partial_report(make_unfinished: Callable[..., Run], status: str | None, reason: str, sentence: str) -> None:
    page = read_page(make_unfinished(status=status, reason=reason))
    assert sentence in page.words
    assert "There is no test score" in page.words
    assert set(page.figures) == {"loss", "score", "gap"}
    assert "Outcome" not in page.words


def test_treatments_that_were_tried_stand_in_the_report(make_empty: Callable[..., Run]) -> None:
    about = {"finding": "O01", "where": "", "figure": "log_loss", "level": 0.05, "share": 1.0}
    gain = {"mean": 1.87, "interval": [1.04, 2.69], "pairs": 5}
    with make_empty() as run:
        assert "Treatments tried" not in read_page(run).words
        run.add(
            "trial", treatment="lower-rate", patch={"optim.lr": 0.003}, accepted=True, reason="the gain is real.",
            untreated=1.955, treated=0.09032, gain=gain, **about,
        )  # fmt: skip
        run.add(
            "trial", treatment="clip", patch={}, accepted=False, reason="not tried: <b>nothing</b> to clip.", **about
        )
        words = read_page(run).words
    assert "accepted lower-rate O01 optim.lr = 0.003 log loss 1.955 -> 0.09032 1.87 (1.04 to 2.69), 5 pairs" in words
    assert "not tried clip O01" in words
    assert "<b>nothing</b> to clip" in words, "shown as text, not as markup"


def test_report_of_a_run_that_has_no_rows_at_all(make_empty: Callable[..., Run]) -> None:
    with make_empty() as run:
        page = read_page(run)
    assert page.figures == {}
    assert len(page.scripts) == 1
    assert "Not finished: the record ends at epoch 0 of 12, step 0." in page.words


def test_resumed_run_is_not_called_stopped(make_unfinished: Callable[..., Run]) -> None:
    run = make_unfinished(status="stopped", reason="Ctrl-C")
    with Run.open(run.path, write=True) as again:
        again.add("metric", split="train", step=100, epoch=5, loss=0.3)
        again.add("end", status="finished", step=100, best_step=100, seconds=2.0)
    assert "Stopped at" not in read_page(Run.open(run.path)).words


def test_nan_metrics_leave_gaps_not_broken_figures(make_empty: Callable[..., Run]) -> None:
    with make_empty() as run:
        for epoch, loss in enumerate([1.0, math.nan, math.inf, 0.5], start=1):
            run.add("metric", split="train", step=epoch * 10, epoch=epoch, loss=loss, lr=0.1)
            run.add("metric", split="valid", step=epoch * 10, epoch=epoch, loss=loss, accuracy=math.nan)
        run.add("result", split="test", step=40, epoch=4, n=10, loss=math.nan, accuracy=math.nan, score="accuracy",
                interval={"accuracy": [math.nan, math.nan]})  # fmt: skip
        page = read_page(run)
    assert page.figures["loss"]["data"][0]["y"] == [1.0, None, None, 0.5]
    assert page.figures["gap"]["data"][0]["x"] == [1, 4]
    assert "test accuracy nan" in page.words


def test_damaged_predictions_are_noted_and_the_rest_is_shown(classification: Run) -> None:
    file = classification.path / "predictions.npz"
    file.write_bytes(file.read_bytes()[:200])
    page = read_page(classification)
    assert "predictions.npz could not be read" in page.words
    assert "confusion" not in page.figures
    assert "loss" in page.figures


def test_pickled_predictions_are_never_unpickled(make_empty: Callable[..., Run]) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("unpickled",))

    with make_empty() as run:
        np.savez(run.path / "predictions.npz", target=np.array([Trap()], dtype=object))
        run.add("predictions", split="test", file="predictions.npz")
        assert "could not be read" in read_page(run).words


def test_predictions_outside_of_the_folder_are_refused(make_empty: Callable[..., Run], tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", target=np.zeros(3))
    with make_empty() as run:
        run.add("predictions", split="test", file="../other.npz")
        assert "does not lie in the run folder" in read_page(run).words


def test_given_options_are_marked(classification: Run) -> None:
    source = write_report(classification).read_text(encoding="utf-8")
    marked = re.findall(r'<div class="given"><dt>(.*?)</dt><dd><mark>(.*?)</mark>', source)
    assert sorted(marked) == [("lr", "0.003"), ("source", "digits")]


def test_layer_table_with_totals(classification: Run) -> None:
    words = read_page(classification).words
    assert "body.0 Linear 64 4,160 4,096" in words
    assert "total 4,810 4,736" in words


def test_regression_page(regression: Run) -> None:
    page, result = read_page(regression), regression.events("result")[0]
    assert f"test R² {result['r2']:.4f}" in page.words
    assert {"scatter0", "residuals0"} <= set(page.figures)
    assert "actual predicted loss" in page.words  # the table of the worst rows
    assert "origin category 3" in page.words


def test_binary_and_multilabel_pages(make_empty: Callable[..., Run], make_spec: Callable[..., DataSpec]) -> None:
    spec = make_spec(("no", "yes"), task="binary", num_outputs=1, class_counts=(60, 40))
    with make_empty("binary", spec=spec) as run:
        np.savez(
            run.path / "predictions.npz",
            target=np.float32([[0], [1], [1], [0]]),
            prediction=np.int64([0, 1, 0, 0]),
            probabilities=np.float32([[0.1], [0.8], [0.3], [0.2]]),
            losses=np.float32([0.1, 0.2, 1.2, 0.2]),
        )
        run.add("predictions", split="test", file="predictions.npz")
        page = read_page(run)
    assert "row 2 yes no 70.00 % 30.00 % 1.2" in page.words
    spec = make_spec(("sky", "sea"), task="multilabel", num_outputs=2, class_counts=())
    with make_empty("labels", spec=spec) as run:
        np.savez(run.path / "predictions.npz", target=np.float32([[0, 1], [1, 1], [0, 0]]),
                 prediction=np.float32([[0, 1], [1, 0], [1, 0]]), losses=np.float32([0.1, 0.9, 0.4]))  # fmt: skip
        run.add("predictions", split="valid", file="predictions.npz")
        page = read_page(run)
    assert "Per label" in page.words
    assert "on the validation split" in page.words
    assert "row 1 sky, sea sky 0.9" in page.words


def test_report_needs_no_torch_nor_plotly(classification: Run) -> None:
    code = (
        "import sys; from pathlib import Path; from limpid.record.run import Run\n"
        "from limpid.reporting.html import write_report\n"
        "assert 'jinja2' not in sys.modules and 'numpy' not in sys.modules, 'imported too early'\n"
        f"write_report(Run.open(Path({str(classification.path)!r})))\n"
        "assert not {'torch', 'plotly', 'PIL', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_report_goes_where_it_is_told_and_repeats_itself(classification: Run, tmp_path: Path) -> None:
    first = write_report(classification, tmp_path / "elsewhere.html")
    assert first == tmp_path / "elsewhere.html"
    assert first.read_bytes() == write_report(classification).read_bytes()
    assert not list(classification.path.glob("*tmp*"))
