"""Everything bad that a user may hand over, through the real command line: one message, exit 2, nothing written.

Each case says what the message must name: the file, the row, the column or the option, and what to do.
"""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limpid.record import files
from limpid.record.run import Run

Limpid = Callable[..., Any]  # the command, run in this process; see conftest.py

ONCE = ("--epochs", "1", "--batch-size", "16", "--set", "record.report=false")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the test's own, in which no half-written entry may stay."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LIMPID_CACHE", str(folder))
    yield folder
    assert not [path for path in folder.rglob("*") if path.name.startswith(".") or path.suffix == ".part"]


@pytest.fixture
def refused(limpid: Limpid, tmp_path: Path) -> Callable[..., None]:
    """Run a command that must be refused with exit 2 and one message that holds these texts; nothing may change."""

    def refuse(*arguments: str | Path, says: tuple[str, ...], code: int = 2) -> None:
        before = contents(tmp_path)
        done = limpid(*arguments)
        assert done.code == code, (done.out, done.err)
        assert done.err.startswith("Error: ")
        assert done.err.count("Error: ") == 1
        assert "Traceback" not in done.err
        for text in says:
            assert text in done.err, f"{text!r} is not in the message: {done.err}"
        assert done.out == ""
        assert contents(tmp_path) == before, "something was written"

    return refuse


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its bytes, every folder with None."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if not path.is_symlink()
    }


def notes_of(run: Path) -> str:
    return json.dumps(Run.open(run).header["summary"])


# Tables


def table(path: Path, lines: list[str], *, encoding: str = "utf-8") -> Path:
    path.write_bytes("\n".join([*lines, ""]).encode(encoding))
    return path


def rows(number: int = 60) -> list[str]:
    """`x,colour,kind`: a number, a category of two, and a target of two classes."""
    return [
        "x,colour,kind",
        *(f"{i % 7}.5,{'red blue'.split()[i % 2]},{'yes no'.split()[i % 3 % 2]}" for i in range(number)),
    ]


def test_a_file_that_is_not_there(refused: Callable[..., None]) -> None:
    refused("train", "absent.csv", "--target", "y", says=("absent.csv", "no such file"))
    refused("train", "folder/of/images", says=("folder/of/images",))
    refused("train", "absent.npz", says=("absent.npz",))


@pytest.mark.parametrize(
    "name", ["t.csv", "t.tsv", "t.parquet", "t.feather", "t.jsonl", "t.npy", "t.npz", "t.tar", "t.zip"]
)
def test_an_empty_file(refused: Callable[..., None], tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    target = [] if name in ("t.tar", "t.zip") else ["--target", "y"]
    refused("train", name, *target, says=(name, "empty"))


def test_a_header_without_rows(refused: Callable[..., None], tmp_path: Path) -> None:
    table(tmp_path / "t.csv", ["x,y"])
    refused("train", "t.csv", "--target", "y", says=("t.csv", "no rows"))


def test_ragged_rows(refused: Callable[..., None], tmp_path: Path) -> None:
    table(tmp_path / "t.csv", [*rows(), "1.5,red"])
    refused("train", "t.csv", "--target", "kind", says=("t.csv", "line 62", "2 fields", "line 1 has 3"))


@pytest.mark.parametrize(("encoding", "says"), [("latin-1", "line 62: byte"), ("utf-16", "UTF-16")])
def test_a_wrong_encoding(refused: Callable[..., None], tmp_path: Path, encoding: str, says: str) -> None:
    table(tmp_path / "t.csv", [*rows(), "1.5,grün,yes"], encoding=encoding)
    refused("train", "t.csv", "--target", "kind", says=("t.csv", says, "UTF-8"))


def test_duplicate_column_names(refused: Callable[..., None], tmp_path: Path) -> None:
    table(tmp_path / "t.csv", [line + ",1" if i else line + ",x" for i, line in enumerate(rows())])
    refused("train", "t.csv", "--target", "kind", says=("t.csv", "'x'", "2 times"))


def test_a_column_without_any_value_is_dropped_and_that_is_said(limpid: Limpid, tmp_path: Path) -> None:
    table(tmp_path / "t.csv", [line + (",void" if i == 0 else ",") for i, line in enumerate(rows())])
    done = limpid("train", "t.csv", "--target", "kind", *ONCE, "--out", "run")
    assert done.code == 0, done.err
    assert "void" in "".join(line for line in done.out.splitlines() if line.startswith("note:"))
    assert "void" not in Run.open(tmp_path / "run").header["data"]["feature_names"]


def test_a_constant_target(refused: Callable[..., None], tmp_path: Path) -> None:
    table(tmp_path / "t.csv", ["x,kind", *(f"{i},yes" for i in range(40))])
    refused("train", "t.csv", "--target", "kind", says=("t.csv", "'kind'", "constant", "'yes'"))


def test_a_text_target_with_a_thousand_values(refused: Callable[..., None], tmp_path: Path) -> None:
    table(tmp_path / "t.csv", ["x,remark", *(f"{i % 7},remark {i % 1000}" for i in range(2500))])
    refused("train", "t.csv", "--target", "remark", says=("t.csv", "'remark'", "1000 different values"))


def test_a_target_that_is_not_there(refused: Callable[..., None], tmp_path: Path) -> None:
    table(tmp_path / "t.csv", rows())
    refused("train", "t.csv", "--target", "kimd", says=("t.csv", "'kimd'", "'kind'"))
    refused("train", "t.csv", says=("t.csv", "--target"))


def test_infinite_values(refused: Callable[..., None], tmp_path: Path) -> None:
    table(tmp_path / "t.csv", [*rows(), "inf,red,yes"])
    refused("train", "t.csv", "--target", "kind", says=("t.csv: Row 60", "'x'", "infinite"))
    table(tmp_path / "u.csv", ["x,size", *(f"{i % 7},{i / 3}" for i in range(40)), "1,-inf"])
    refused("train", "u.csv", "--target", "size", says=("u.csv", "'size'", "infinite"))
    np.savez(tmp_path / "u.npz", x=np.full((40, 3), np.inf, np.float32), y=np.arange(40) % 2)
    refused("train", "u.npz", says=("u.npz", "row 0, column 0", "the value is inf", "replace"))


def test_a_faulty_cell_of_the_test_file_is_found_before_training(refused: Callable[..., None], tmp_path: Path) -> None:
    table(tmp_path / "t.csv", rows())
    table(tmp_path / "held-out.csv", [*rows(10), "many,red,yes"])
    command = ("train", "t.csv", "--target", "kind", "--test", "held-out.csv", *ONCE, "--out", "run")
    refused(*command, says=("Error: held-out.csv", "ow 10", "'x'", "'many'"))
    table(tmp_path / "held-out.csv", [*rows(10), "1.5,red,perhaps"])
    refused(*command, says=("Error: held-out.csv", "'perhaps'"))
    table(tmp_path / "held-out.csv", ["x,kind", "1,yes"])
    refused(*command, says=("held-out.csv", "'colour'"))


def test_labels_with_spaces_unicode_and_markup(limpid: Limpid, tmp_path: Path) -> None:
    labels = ["très  bien ☃", "<script>alert(1)</script>", "日本語 & more", '"quoted", with comma']
    quoted = ['"' + label.replace('"', '""') + '"' for label in labels]
    table(tmp_path / "t.csv", ["größe (cm),<b>kind</b>", *(f"{i % 4}.{i % 9},{quoted[i % 4]}" for i in range(80))])
    done = limpid("train", "t.csv", "--target", "<b>kind</b>", "--epochs", "1", "--out", "run")
    assert done.code == 0, done.err
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert "<b>kind" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert set(Run.open(tmp_path / "run").header["data"]["classes"]) == set(labels)
    assert limpid("predict", "run", "t.csv", "--out", "answers.csv", "--quiet").code == 0
    first = (tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines()[0]
    assert "p_très  bien ☃" in first


# Options


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["--epohcs", "3"], "--epochs"),
        (["--set", "optim.learning_rat=1"], "optim."),
        (["--set", "optm.lr=1"], "Nearest: optim"),
        (["--set", "lr=1"], "section.key=value"),
        (["--optimizer", "adan"], "Did you mean adam"),
        (["--model", "lenet"], "lenet5"),
    ],
)
def test_an_unknown_option_or_value(refused: Callable[..., None], arguments: list[str], nearest: str) -> None:
    refused("train", "moons", *arguments, says=(nearest,))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[optim]\nlrr = 0.1\n", ("optim.lrr", "Nearest: optim.lr")),
        ("[optimm]\nlr = 0.1\n", ("optimm", "Nearest: optim")),
        ("[training]\nepochs = 'many'\n", ("training.epochs", "'many'")),
        ("epochs = \n", ("not valid TOML",)),
    ],
)
def test_an_unknown_key_in_a_file(
    refused: Callable[..., None], tmp_path: Path, text: str, says: tuple[str, ...]
) -> None:
    (tmp_path / "run.toml").write_text(text)
    refused("train", "moons", "--config", "run.toml", says=("run.toml", *says))


def test_a_folder_as_a_configuration(refused: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "run.toml").mkdir()
    refused("train", "moons", "--config", "run.toml", says=("run.toml", "TOML"))


def test_a_run_folder_that_is_taken_is_refused_before_the_data_are_read(
    limpid: Limpid, refused: Callable[..., None]
) -> None:
    assert limpid("train", "moons", "--size", "60", *ONCE, "--out", "run", "--quiet").code == 0
    refused("train", "absent.csv", "--out", "run", says=("run holds a run already", "--resume"))


# Images


def picture(value: int, *, side: int = 8) -> bytes:
    """A PNG of random bytes around a brightness."""
    pixels = np.random.default_rng(value).integers(0, 80, (side, side, 3), dtype=np.uint8) + np.uint8(value % 2 * 150)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def folder_of(path: Path, **counts: int) -> Path:
    """A folder of class folders with so many pictures each."""
    for k, (name, count) in enumerate(counts.items()):
        (path / name).mkdir(parents=True)
        for i in range(count):
            (path / name / f"{i:02}.png").write_bytes(picture(2 * i + k))
    return path


def bomb() -> bytes:
    """The head of a PNG that claims 50,000 x 50,000 pixels; its body is one pixel."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 4)) + chunk(b"IEND", b"")


def test_a_folder_without_class_folders(refused: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    refused("train", "flat", says=("flat",))
    for i in range(12):
        (tmp_path / "flat" / f"{i}.png").write_bytes(picture(i))
    refused("train", "flat", says=("flat", "folder", "class"))


def test_one_class_only(refused: Callable[..., None], tmp_path: Path) -> None:
    folder_of(tmp_path / "pictures", cat=12)
    refused("train", "pictures", says=("pictures", "cat", "class"))


def test_a_class_with_one_image_trains_with_a_note(limpid: Limpid, tmp_path: Path) -> None:
    folder_of(tmp_path / "pictures", cat=12, dog=12, unicorn=1)
    done = limpid("train", "pictures", *ONCE, "--model", "linear", "--out", "run")
    assert done.code == 0, done.err
    assert "unicorn" in "".join(line for line in done.out.splitlines() if line.startswith("note:"))


def test_a_corrupt_image_among_good_ones(limpid: Limpid, refused: Callable[..., None], tmp_path: Path) -> None:
    folder_of(tmp_path / "pictures", cat=14, dog=14)
    (tmp_path / "pictures" / "cat" / "03.png").write_bytes(picture(6)[:60])
    (tmp_path / "pictures" / "dog" / "05.png").write_bytes(b"this is no picture")
    command = ("train", "pictures", *ONCE, "--model", "linear", "--out", "run")
    refused(*command, says=("cat/03.png", "dog/05.png", "--skip-bad"))
    done = limpid(*command, "--skip-bad")
    assert done.code == 0, done.err
    assert "2 " in done.out
    assert "cat/03.png" in notes_of(tmp_path / "run")
    data = Run.open(tmp_path / "run").header["data"]
    assert data["num_train"] + data["num_valid"] + data["num_test"] == 26


def test_a_decompression_bomb(refused: Callable[..., None], tmp_path: Path) -> None:
    folder_of(tmp_path / "pictures", cat=12, dog=12)
    (tmp_path / "pictures" / "dog" / "99.png").write_bytes(bomb())
    refused("train", "pictures", says=("dog/99.png", "limit of 64 million pixels"))


def archive(path: Path, *, extra: list[tarfile.TarInfo | tuple[str, bytes]]) -> Path:
    """A tar file of two classes with twelve pictures each, and these members."""
    members: list[tarfile.TarInfo | tuple[str, bytes]] = [
        (f"{name}/{i:02}.png", picture(2 * i + k)) for k, name in enumerate(("cat", "dog")) for i in range(12)
    ]
    with tarfile.open(path, "w") as tar:
        for member in [*members, *extra]:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def test_an_archive_is_fine(limpid: Limpid, tmp_path: Path) -> None:
    archive(tmp_path / "a.tar", extra=[])
    assert limpid("train", "a.tar", *ONCE, "--model", "linear", "--quiet").code == 0


@pytest.mark.parametrize("name", ["../evil.png", "/tmp/evil.png", "cat/../../evil.png"])
def test_an_archive_that_leaves_its_folder(refused: Callable[..., None], tmp_path: Path, name: str) -> None:
    archive(tmp_path / "a.tar", extra=[(name, picture(1))])
    refused("train", "a.tar", says=("a.tar", name))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(name, picture(1))
    refused("train", "a.zip", says=("a.zip", name))
    assert not Path("/tmp/evil.png").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_an_archive_with_links(refused: Callable[..., None], tmp_path: Path, kind: bytes) -> None:
    link = tarfile.TarInfo("cat/link.png")
    link.type, link.linkname = kind, "/etc/passwd"
    archive(tmp_path / "a.tar", extra=[link])
    refused("train", "a.tar", says=("a.tar", "cat/link.png", "link"))


def test_an_archive_that_is_a_bomb(refused: Callable[..., None], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("cat/0.png", bytes(200_000_000))
    refused("train", "a.zip", says=("a.zip", "bomb"))


# Pickles and other versions


class Alarm:
    """Whoever unpickles this writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def test_a_pickle_is_never_opened(limpid: Limpid, refused: Callable[..., None], tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    evil = pickle.dumps(Alarm(canary))
    pickle.loads(evil)
    assert canary.exists(), "the canary sings when a pickle is opened"
    canary.unlink()

    (tmp_path / "weights.pt").write_bytes(evil)
    refused("train", "weights.pt", says=("weights.pt", "pickle", "safetensors"))
    refused("train", "--resume", "weights.pt", says=("weights.pt", "run folder"))
    refused("report", "weights.pt", says=("weights.pt", "run folder"))
    refused("predict", "weights.pt", "x.csv", says=("weights.pt", "run folder"))
    for name in ("weights.npy", "weights.npz", "weights.csv", "weights.parquet", "weights.tar", "weights.zip"):
        (tmp_path / name).write_bytes(evil)
        refused("train", name, *(["--target", "y"] if name.endswith(("csv", "parquet")) else []), says=(name,))

    assert limpid("train", "moons", "--size", "60", *ONCE, "--out", "run", "--quiet").code == 0
    refused("predict", "run", "weights.pt", says=("weights.pt",))
    (checkpoint,) = (tmp_path / "run" / "checkpoints").iterdir()
    for name in ("model.safetensors", "best.safetensors"):
        (checkpoint / name).write_bytes(evil)
    refused("predict", "run", "weights.npy", says=("checkpoint",))
    refused("train", "--resume", "run", says=("checkpoint",))
    assert not canary.exists()


def test_objects_in_an_array_file(refused: Callable[..., None], tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    np.save(tmp_path / "a.npy", np.array([Alarm(canary)], dtype=object), allow_pickle=True)
    refused("train", "a.npy", says=("a.npy", "objects"))
    assert not canary.exists()


def test_a_run_of_another_version(limpid: Limpid, refused: Callable[..., None], tmp_path: Path) -> None:
    assert limpid("train", "moons", "--size", "60", *ONCE, "--out", "run", "--quiet").code == 0
    header = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**header, "format": 99}))
    np.save(tmp_path / "x.npy", np.zeros((2, 2), np.float32))
    for command in (["report", "run"], ["compare", "run"], ["predict", "run", "x.npy"], ["export", "run"]):
        refused(*command, says=("run", "format 99", "version"))
    refused("train", "--resume", "run", says=("run", "format 99", "version"))


# Prediction


@pytest.fixture
def trained(limpid: Limpid, tmp_path: Path) -> Path:
    table(tmp_path / "t.csv", rows())
    assert limpid("train", "t.csv", "--target", "kind", *ONCE, "--out", "run", "--quiet").code == 0
    return tmp_path / "run"


def answers(limpid: Limpid, source: str) -> tuple[list[str], str]:
    done = limpid("predict", "run", source)
    assert done.code == 0, done.err
    return done.out.splitlines(), done.err


def test_a_prediction_file_with_a_missing_column(trained: Path, refused: Callable[..., None], tmp_path: Path) -> None:
    table(tmp_path / "new.csv", ["colour,kind", "red,yes"])
    refused("predict", "run", "new.csv", "--out", "answers.csv", says=("new.csv", "'x'", "missing"))


def test_a_prediction_file_with_extra_or_reordered_columns(trained: Path, limpid: Limpid, tmp_path: Path) -> None:
    table(tmp_path / "plain.csv", ["x,colour", "1.5,red", "4.5,blue"])
    table(tmp_path / "mixed.csv", ["colour,whim,x", "red,7,1.5", "blue,8,4.5"])
    expected, silence = answers(limpid, "plain.csv")
    got, remarks = answers(limpid, "mixed.csv")
    assert got == expected
    assert silence == ""
    assert "'whim'" in remarks


def test_an_unseen_category_is_answered_and_said(trained: Path, limpid: Limpid, tmp_path: Path) -> None:
    table(tmp_path / "new.csv", ["x,colour", "1.5,green", "1.5,red"])
    lines, remarks = answers(limpid, "new.csv")
    assert len(lines) == 3
    assert "'colour'" in remarks
    assert "1 cell" in remarks


def test_a_prediction_into_a_folder_that_is_not_there(trained: Path, refused: Callable[..., None]) -> None:
    refused("predict", "run", "absent.csv", "--out", "none/answers.csv", says=("none/answers.csv", "does not exist"))
    refused("predict", "run", "absent.csv", "--out", "answers.doc", says=("answers.doc", ".csv"))


def test_images_of_another_size(limpid: Limpid, refused: Callable[..., None], tmp_path: Path) -> None:
    """Files are brought to the size of training by the stored rule; arrays must have it."""
    folder_of(tmp_path / "pictures", cat=12, dog=12)
    assert limpid("train", "pictures", *ONCE, "--model", "linear", "--out", "run", "--quiet").code == 0
    (tmp_path / "large.png").write_bytes(picture(1, side=31))
    lines, _ = answers(limpid, "large.png")
    assert len(lines) == 2
    np.save(tmp_path / "large.npy", np.zeros((2, 3, 31, 31), np.uint8))
    refused("predict", "run", "large.npy", says=("large.npy", "(N, 3, 31, 31)", "(N, 3, 8, 8)"))


# The disk


def full_from(name: str) -> Callable[[str, Path], None]:
    """A disk that is full for every file of this name."""

    def hook(operation: str, path: Path) -> None:
        if operation == "write" and (path.name == name or name in path.parts):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    return hook


@pytest.mark.parametrize("name", ["model.safetensors", "events.jsonl"])
def test_a_full_disk(limpid: Limpid, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setattr(files, "operation_hook", full_from(name))
    done = limpid("train", "moons", "--size", "60", *ONCE, "--out", "run")
    assert done.code == 6, (done.out, done.err)
    assert "the disk is full" in done.err
    assert "bytes were needed" in done.err
    assert "--resume" in done.err
    assert done.err.count("Error: ") == 1
    assert "saved" not in (done.out + done.err)
    assert "test accuracy" not in done.out
    assert "report" not in done.out

    monkeypatch.setattr(files, "operation_hook", None)
    again = limpid("train", "--resume", "run")
    assert again.code == 0, again.err
    assert Run.open(tmp_path / "run").events("end")[-1]["status"] == "finished"


def test_a_full_disk_under_predictions(
    trained: Path, refused: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table(tmp_path / "new.csv", ["x,colour", "1.5,red"])

    def hook(operation: str, path: Path) -> None:
        full_from(path.name)(operation, path)

    monkeypatch.setattr(files, "operation_hook", hook)
    refused("predict", "run", "new.csv", "--out", "answers.csv", says=("answers.csv", "the disk is full"), code=6)


def test_a_full_disk_under_what_is_printed(limpid: Limpid, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(frame: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("limpid.deploy.tables_out.neutralised", full)
    monkeypatch.setattr("limpid.cli._to_nowhere", lambda: None)  # the output of the test goes on
    done = limpid("predict", trained, "t.csv")
    assert done.code == 6
    assert "disk is full" in done.err
    assert "Traceback" not in done.err
