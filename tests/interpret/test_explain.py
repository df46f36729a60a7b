"""`limpid explain` and `limpid.explain`: the page and the numbers of a row of a run, and what is refused."""

from __future__ import annotations

import base64
import html
import io
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import limpid as library
from limpid.errors import RecordError
from limpid.record.run import Run

REST = {"record__report": False, "record__doctor": False, "device": "cpu"}
QUICK = {"training__steps": 2, **REST}


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two updates."""
    return library.train("iris", hidden=(4,), out=tmp_path_factory.mktemp("iris") / "run", **QUICK).path


def test_a_row_that_is_an_image_is_shown(tmp_path: Path) -> None:
    run = library.train("digits", model="logistic", out=tmp_path / "run", **QUICK)
    text = library.explain(run, row=7).read_text()
    (found,) = re.findall(r'<img src="data:image/png;base64,([^"]+)"', text)
    valid = library.load_data("digits").valid
    assert valid is not None
    pixels = valid.rows.take(torch.tensor([7]))[0][0, 0].int().numpy()
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(found))))
    assert shown.shape == (8, 8)
    assert np.array_equal(shown, pixels * 255 // pixels.max())


@pytest.mark.spec("I41")
def test_a_page_that_needs_nothing_else_and_its_numbers(iris: Path, limpid: Callable[..., Any]) -> None:
    done = limpid("explain", iris, "--row", "3")
    assert done.code == 0, done.err
    page, numbers = iris / "explanation.html", iris / "explanation.json"
    assert done.out.strip() == str(page)
    text, found = html.unescape(page.read_text()), json.loads(numbers.read_text())
    assert "default-src 'none'" in text
    assert not re.search(r"<script|<link|<iframe|\b(src|href)=\"(?!#)|https?:(?!//www\.w3\.org)", text)
    assert (found["split"], found["row"], found["run"]) == ("validation", 3, Run.open(iris).id)
    graph = found["computation"]
    assert text.count('id="node-') == len(graph["nodes"])
    assert text.count("<rect") == len(graph["nodes"])
    assert text.count("<path") == len(graph["edges"])
    # The row is that of the data, and its loss that of the answer that the run gives it.
    valid = library.load_data("iris").valid
    assert valid is not None
    assert found["name"] == valid.name_of(3)
    row = valid.rows.take(torch.tensor([3]))[0].numpy()
    predicted = library.predict(iris, row)
    share = predicted.probabilities[0][int(valid.target[3])]
    assert graph["loss"] == pytest.approx(-math.log(share), rel=1e-4)
    assert f"answer: {predicted.decisions[0]}<" in text
    before = page.read_bytes(), numbers.read_bytes()
    assert limpid("explain", iris, "--row", "3", "--quiet").out == ""
    assert (page.read_bytes(), numbers.read_bytes()) == before
    assert limpid("explain", iris, "--out", "first.html").code == 0
    assert json.loads(Path("first.json").read_text())["row"] == 0


def test_what_cannot_be_explained_is_refused_with_a_way_out(
    iris: Path, limpid: Callable[..., Any], tmp_path: Path
) -> None:
    count = Run.open(iris).header["data"]["num_valid"]
    bare = tmp_path / "bare"
    shutil.copytree(iris, bare)
    shutil.rmtree(bare / "checkpoints")
    for arguments, told in {
        (iris, "--row", str(count)): f"{count} rows, 0 to {count - 1}",
        (iris, "--row", "-1"): "--row",
        (iris, "--out", "page.txt"): "ends in .html",
        (bare,): "Train or resume it",
        (tmp_path / "nowhere",): "nowhere",
    }.items():
        done = limpid("explain", *arguments)
        assert done.code == 2
        assert told in " ".join(done.err.split()), done.err
        assert "Traceback" not in done.err


class Own(nn.Module):
    """A network with a name that would like to be markup."""

    def __init__(self) -> None:
        super().__init__()
        self.weight_23 = nn.Parameter(torch.randn(2, 3))
        self.add_module("<b>&", nn.Linear(3, 2))

    def forward(self, x: Tensor) -> Tensor:
        return getattr(self, "<b>&")(torch.tanh(x @ self.weight_23))


@pytest.mark.spec("I41")
def test_a_module_of_the_users_own_on_arrays(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((40, 2)).astype(np.float32)
    y = np.array(["up", "<i>"])[(x[:, 0] > 0).astype(int)]
    module = Own()
    run = library.train((x, y), model=module, data__task="classification", out=tmp_path / "run", **QUICK)
    with pytest.raises(RecordError, match="hand over"):
        library.explain(run, module=Own())
    page = library.explain(run, module=Own(), source=(x, y), row=1)
    graph = json.loads(page.with_suffix(".json").read_text())["computation"]
    assert [node["kind"] for node in graph["nodes"]] == [
        *("input", "InputScale", "matmul", "tanh", "Linear", "target", "loss")
    ]
    assert [row["name"] for row in graph["parameters"]] == ["weight_23", "<b>&.weight", "<b>&.bias"]
    assert [row["nodes"] for row in graph["parameters"]] == [[2], [4], [4]]
    text = page.read_text()
    assert "&lt;b&gt;&amp;" in text
    assert "<b>&" not in text
    assert "<i>" not in text


def test_weights_that_were_not_found_by_descent_are_said_to_be(tmp_path: Path) -> None:
    page = library.explain(library.train("iris", model="perceptron", out=tmp_path / "run", epochs=1, **REST))
    assert "gradients shown have moved nothing" in page.read_text()


@pytest.mark.slow
def test_of_several_members_the_network_that_predicts_is_shown(tmp_path: Path) -> None:
    run = library.train("iris", hidden=(4,), seeds=2, out=tmp_path / "run", **QUICK)
    graph = json.loads(library.explain(run).with_suffix(".json").read_text())["computation"]
    kinds = [node["kind"] for node in graph["nodes"]]
    assert (kinds.count("InputScale"), kinds.count("Linear")) == (3, 4)  # one before all members, which does nothing
    assert [kinds[source] for source in graph["nodes"][-1]["sources"]] == ["Linear", "Linear", "target"]
    valid = library.load_data("iris").valid
    assert valid is not None
    shares = library.predict(run, valid.rows.take(torch.tensor([0]))[0].numpy()).probabilities[0]
    assert graph["loss"] == pytest.approx(-math.log(shares[int(valid.target[0])]), rel=1e-4)
    assert np.exp(graph["outputs"]["entries"]) == pytest.approx(shares, rel=1e-4)


def test_the_units_of_a_number_are_told_where_the_loss_has_others(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    given = {"hidden": (4,), "out": tmp_path / "run", **QUICK}
    run = library.train(x, y=50.0 + 8.0 * x[:, 0], **given)
    page = library.explain(run, source=x, y=50.0 + 8.0 * x[:, 0])
    graph = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))["computation"]
    (remark,) = graph["remarks"]
    mean, std = map(float, re.findall(r"[\d.]+\d", remark))
    (target,) = graph["nodes"][-2]["value"]["entries"]
    (answer,) = graph["outputs"]["entries"]
    assert ((target - mean) / std - answer) ** 2 == pytest.approx(graph["loss"], rel=0.02)
    assert remark in page.read_text(encoding="utf-8")
