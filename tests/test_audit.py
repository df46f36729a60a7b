"""The audit from end to end: planted faults are listed, the page is harmless and works, decisions come back."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_regression

import limpid
from limpid.errors import DataError
from limpid.practice.auditing import Audit
from tests.probes.test_confident_joint import flipped

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
X, TRUE = load_digits(return_X_y=True)
NOISY = flipped(TRUE, 0.05, pairs=False, seed=1)


def suspects_of(path: Path) -> list[dict[str, str]]:
    with (path / "suspects.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Audit, Path]:
    """Digits with 5 % wrong labels, 12 copies, 4 of them with another label."""
    folder = tmp_path_factory.mktemp("audit")
    again = np.concatenate([NOISY[:8], (NOISY[8:12] + 1) % 10])
    pictures = (X * 15).astype(np.uint8).reshape(-1, 1, 8, 8)
    np.savez(folder / "digits.npz", x=np.concatenate([pictures, pictures[:12]]), y=np.concatenate([NOISY, again]))
    return limpid.audit(folder / "digits.npz", out=folder / "out"), folder


def test_planted_labels_and_copies_are_listed(digits: tuple[Audit, Path]) -> None:
    made, folder = digits
    rows = suspects_of(folder / "out")
    assert made.noise is not None
    assert abs(made.noise.share - 0.05) < 0.03
    wrong = {f"row {i}" for i in np.flatnonzero(NOISY != TRUE)}
    looked_at = {one.name_of(i) for one in (made.dataset.train, made.dataset.valid) if one for i in range(len(one))}
    flagged = [row for row in rows if row["kind"] == "label"]
    right = [row for row in flagged if row["row"] in wrong]
    assert len(right) >= 0.7 * len(flagged)
    assert len(right) >= 0.8 * len(wrong & looked_at)
    assert sum(int(row["suggested"]) == TRUE[int(row["row"].split()[1])] for row in right) > 0.9 * len(right)
    copies = {row["row"] for row in rows if row["kind"] in ("copy", "leak", "conflict")}
    assert len(copies & {f"row {i}" for i in (*range(12), *range(1797, 1809))}) >= 8
    assert {row["action"] for row in rows} == {"keep"}
    assert all(row["split"] in ("train", "valid") for row in rows)


@pytest.mark.slow
def test_the_table_comes_back_as_corrections(digits: tuple[Audit, Path]) -> None:
    made, folder = digits
    rows = suspects_of(folder / "out")
    for row in rows:
        row["action"] = row["suggested_action"] if row["kind"] == "label" else "keep"
    with (folder / "edited.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    mended = limpid.audit(folder / "digits.npz", apply=folder / "edited.csv", out=folder / "again")
    assert mended.noise is not None
    assert mended.noise.share < 0.015
    kept = [row for row in suspects_of(folder / "again") if row["kind"] == "decided"]
    assert len(kept) == made.counts["label"]
    both = limpid.load_data(folder / "digits.npz", data__corrections=folder / "again" / "suspects.csv")
    true = np.concatenate([TRUE, TRUE[:12]])
    index = both.train.index
    assert index is not None
    assert (both.train.target.numpy() == true[index.numpy()]).mean() > 0.985


def test_a_run_is_audited_by_its_folder(tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", x=X[:400], y=TRUE[:400])
    bare = {"record__report": False, "record__doctor": False, "training__threads": 1}
    run = limpid.train(tmp_path / "few.npz", epochs=1, out=tmp_path / "run", seed=3, **bare)
    made = limpid.audit(run.path)
    assert made.dataset.train.index is not None
    plain = limpid.load_data(tmp_path / "few.npz", seed=3)
    assert plain.train.index is not None
    assert made.dataset.train.index.tolist() == plain.train.index.tolist()
    bad = tmp_path / "bad.csv"
    bad.write_text("row,action\nrow 99999,drop\n")
    with pytest.raises(DataError, match="no row is called"):
        limpid.audit(run, apply=bad)


def test_numbers_far_from_expectation_are_listed() -> None:
    x, y = make_regression(600, 6, n_informative=3, noise=5.0, random_state=0)
    odd = np.arange(0, 600, 60)
    y[odd] += 1000.0
    made = limpid.audit((x, y))
    found = {one.row for one in made.suspects if one.kind == "number"}
    assert made.noise is None
    planted = found & {f"row {i}" for i in odd}
    assert len(planted) >= 6
    assert len(planted) >= 0.7 * len(found)


def test_texts_are_audited_by_their_words() -> None:
    random = np.random.default_rng(0)
    words = {0: ["sun", "beach", "warm", "sea"], 1: ["snow", "cold", "ski", "ice"]}
    labels = np.arange(1500) % 2
    texts = [" ".join(random.choice(words[k], 6)) + f" the day {i % 7} was long" for i, k in enumerate(labels)]
    wrong = labels.copy()
    wrong[:150] = 1 - wrong[:150]
    made = limpid.audit((texts, np.array(["summer", "winter"])[wrong]), form="texts")
    assert made.noise is not None
    assert abs(made.noise.share - 0.1) < 0.03
    flagged = [one for one in made.suspects if one.kind == "label"]
    assert np.mean([int(one.row.split()[1]) < 150 for one in flagged]) > 0.8


def test_tables_show_their_columns_and_foreign_text_stays_text(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    evil = "<script>alert(1)</script>"
    rows = [f"{a:.3f},{b:.3f},{evil if c else 'good'},{'=yes' if a + b > 0 else evil}" for a, b, c in
            zip(random.normal(size=300), random.normal(size=300), random.integers(0, 2, 300), strict=True)]  # fmt: skip
    rows += rows[:9]
    path = tmp_path / "evil.csv"
    path.write_text("a,b,colour & shape,kind\n" + "\n".join(rows) + "\n")
    made = limpid.audit(path, target="kind", out=tmp_path / "out")
    assert made.counts["leak"] + made.counts["copy"] >= 4
    page = (tmp_path / "out" / "gallery.html").read_text(encoding="utf-8")
    assert evil not in page
    assert page.count("<script") == 2
    assert "&lt;script&gt;" in page
    assert "colour &amp; shape" in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    assert "'=yes" in (tmp_path / "out" / "suspects.csv").read_text(encoding="utf-8")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_page_hands_out_what_was_chosen(digits: tuple[Audit, Path], tmp_path: Path) -> None:
    made, folder = digits
    page = (folder / "out" / "gallery.html").read_text(encoding="utf-8")
    clicks = """
    <script>
    document.querySelector('[data-kind="label"]').click();
    document.getElementById("accept").click();
    document.querySelector(".suspect .choice button:nth-child(2)").click();
    URL.createObjectURL = function (blob) {
      blob.text().then(function (text) {
        var place = document.createElement("pre");
        place.id = "handed-out";
        place.textContent = text;
        document.body.appendChild(place);
      });
      return "#";
    };
    document.getElementById("save").click();
    </script>"""
    bare = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", page).replace(
        "</body>", clicks + "</body>"
    )
    (tmp_path / "page.html").write_text(bare, encoding="utf-8")
    dom = rendered(tmp_path / "page.html")
    table = re.search(r'<pre id="handed-out">(.*?)</pre>', dom, re.DOTALL)
    assert table is not None
    (tmp_path / "corrections.csv").write_text(table[1], encoding="utf-8")
    data = limpid.load_data(folder / "digits.npz", data__corrections=tmp_path / "corrections.csv")
    done = data.summary["corrections"]
    assert len(done["relabelled"]) == made.counts["label"] - 1
    assert len(done["dropped"]) == 1
    assert 'aria-pressed="true"' in rendered(folder / "out" / "gallery.html"), "the script runs under the page's policy"


def rendered(path: Path) -> str:
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom"]
    return subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.slow
def test_the_command_says_what_was_found(digits: tuple[Audit, Path], tmp_path: Path, capsys: Any) -> None:
    from limpid.commands.auditing import audit

    _, folder = digits
    audit(str(folder / "digits.npz"), out=tmp_path / "out")
    told = capsys.readouterr().out
    assert re.search(r"labels probably wrong: \d", told)
    assert (tmp_path / "out" / "gallery.html").is_file()


def test_weak_models_do_not_accuse() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 8)).astype(np.float32)
    y = (random.random(400) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
    made = limpid.audit((x, y))
    assert not made.sure
    assert "label" not in made.counts
    assert all(one.suggested_action == "keep" for one in made.suspects if one.kind == "doubt")
    assert "cannot tell" in "\n".join(made.lines())
