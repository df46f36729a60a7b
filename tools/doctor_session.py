"""A session at the terminal in which the doctor names planted faults. `make doctor-session` writes docs/DOCTOR.md.

Every line of output is what the command printed, shortened only where it says so. Each fault is made from data that
scikit-learn bundles; the one that needs titanic.csv is left out unless LIMPID_DATA names the folder that holds it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "DOCTOR.md"
REPEATED = re.compile(r"^epoch +\d+/|^ +\d+ +[\d.]+ +\d+ +[\d.]+ s ")  # epochs of a run, trials of a search


@dataclass(frozen=True)
class Case:
    """A planted fault, the code of the check that must name it, and how it is made in an empty folder."""

    title: str
    code: str
    command: str
    make: Callable[[Path], None] = lambda folder: None
    script: str = ""  # of a user's program, shown before it is run


def write_table(folder: Path, name: str, *, shuffle: bool = False, scale: float = 1.0) -> None:
    """Handwritten digits as a table of 64 columns and a label."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x, y = data.data.copy(), data.target.copy()
    x[:, 20] *= scale
    if shuffle:
        np.random.default_rng(0).shuffle(y)
    head = ",".join([*(f"pixel{i}" for i in range(64)), "digit"])
    rows = [",".join([*(f"{value:g}" for value in row), f"d{label}"]) for row, label in zip(x, y, strict=True)]
    (folder / name).write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")


def write_pictures(folder: Path) -> None:
    """Digits as class folders of pictures; those of the test split lie on their side."""
    from PIL import Image
    from sklearn.datasets import load_digits

    data = load_digits()
    for i, (image, label) in enumerate(zip(data.images, data.target, strict=True)):
        split, pixels = ("test", np.rot90(image)) if i % 5 == 0 else ("train", image)
        place = folder / "photos" / split / f"digit{label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15.9).astype(np.uint8)).save(place / f"{i}.png")


def write_titanic(folder: Path) -> None:
    source = Path(os.environ["LIMPID_DATA"]) / "tables" / "titanic.csv"
    (folder / "titanic.csv").write_bytes(source.read_bytes())


def write_twice(folder: Path) -> None:
    """A training and a test file of the digits; 200 rows are in both."""
    write_table(folder, "digits.csv")
    head, *rows = (folder / "digits.csv").read_text(encoding="utf-8").splitlines()
    for name, part in (("train.csv", rows[:1300]), ("test.csv", rows[1100:])):
        (folder / name).write_text("\n".join([head, *part]) + "\n", encoding="utf-8")


def write_space(folder: Path) -> None:
    """A search space whose rates end far below the best."""
    text = '[optim]\nlr = { low = 1e-6, high = 1e-5, scale = "log" }\n'
    (folder / "space.toml").write_text(text + 'weight_decay = { low = 1e-4, high = 0.1, scale = "log" }\n')


def own_module(body: str) -> str:
    """A user's program that trains a module of his own on the digits."""
    return f"""import limpid
from sklearn.datasets import load_digits
from torch import nn

x, y = load_digits(return_X_y=True)
{body}
run = limpid.train((x.astype("float32"), y), model=net, epochs=8)
print(*[finding["code"] + ": " + finding["symptom"] for finding in run.events("finding")], sep="\\n")
"""


LAYERS = "nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)"
CASES = (
    Case(
        "A column that knows the answer", "D10", "limpid train titanic.csv --target survived --out run", write_titanic
    ),
    Case(
        "Test pictures that lie on their side",
        "D12",
        "limpid train photos --epochs 8 --out run && limpid diagnose run",
        write_pictures,
    ),
    Case(
        "Labels that belong to other rows",
        "D07",
        "limpid train shuffled.csv --target digit --out run",
        lambda folder: write_table(folder, "shuffled.csv", shuffle=True),
    ),
    Case(
        "A table that nobody scaled",
        "D02",
        "limpid train digits.csv --target digit --set data.scale=none --out run",
        lambda folder: write_table(folder, "digits.csv", scale=1e4),
    ),
    Case(
        "A layer that is not trained",
        "B09",
        "python frozen.py",
        script=own_module(f"net = nn.Sequential({LAYERS})\nnet[2].requires_grad_(False)"),
    ),
    Case(
        "Softmax applied twice",
        "B03",
        "python twice.py",
        script=own_module(f"net = nn.Sequential({LAYERS}, nn.Softmax(dim=1))"),
    ),
    Case("A learning rate a hundred times too high", "O01", "limpid train digits --model mlp --lr 0.5 --out run"),
    Case("A learning rate a thousand times too low", "O02", "limpid train digits --model mlp --lr 5e-6 --out run"),
    Case(
        "Units that are born dead",
        "S05",
        "python dead.py",
        script=own_module(f"net = nn.Sequential({LAYERS})\nnn.init.constant_(net[0].bias, -20.0)"),
    ),
    Case(
        "A network that learns few rows by heart",
        "G02",
        "limpid train digits --model mlp --hidden 512,512 --set data.valid_share=0.3 --set data.test_share=0.6 "
        "--dropout 0 --epochs 150 --out run && limpid diagnose run",
    ),
    Case(
        "A test file that was trained on",
        "D09",
        "limpid check train.csv --target digit --set data.test=test.csv",
        write_twice,
    ),
    Case(
        "A search whose range ends too early",
        "H01",
        "cat space.toml && limpid tune digits --model mlp --space space.toml --budget 30 --epochs 8 --out search",
        write_space,
    ),
)


def play(case: Case, folder: Path) -> str:
    """Make the fault, run the command, and return what it printed."""
    case.make(folder)
    if case.script:
        (folder / case.command.split()[1]).write_text(case.script, encoding="utf-8")
    bin_folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", case.command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    return done.stdout if done.returncode == 0 else done.stdout + done.stderr


def shortened(output: str) -> str:
    """The output without the epochs, or trials, between the first and the last."""
    lines, alike = [], []
    for line in [*output.splitlines(), ""]:
        if REPEATED.match(line):
            alike.append(line)
            continue
        if alike:
            lines += alike if len(alike) < 3 else [alike[0], f"... {len(alike) - 2} more lines", alike[-1]]
            alike = []
        lines.append(line)
    return "\n".join(lines).strip()


def main() -> int:
    parts, missed = [f"# The doctor at work\n\n{(__doc__ or '').strip()}\n"], []
    for case in CASES:
        if case.make is write_titanic and "LIMPID_DATA" not in os.environ:
            continue
        with TemporaryDirectory() as name:
            output = play(case, Path(name))
        if not re.search(rf"\b{case.code}\b", output):
            missed.append(case)
        code = f"```python\n# {case.command.split()[1]}\n{case.script}```\n\n" if case.script else ""
        parts.append(
            f"\n## {case.title} ({case.code})\n\n{code}```console\n$ {case.command}\n{shortened(output)}\n```\n"
        )
        print(f"{case.code} {'named' if case not in missed else 'NOT NAMED'}: {case.title}")
    PAGE.write_text("".join(parts), encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
