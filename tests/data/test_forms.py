"""How sources are told apart, and every wrong word about them: one message, exit code 2."""

import numpy as np
import pytest

from limpid.config import DataConfig
from limpid.data.sources import load_data
from limpid.errors import ConfigError, DataError


@pytest.fixture
def files(tmp_path):
    (tmp_path / "story.txt").write_text("once upon a time there was a network.\n" * 40)
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "sales.csv").write_text(
        "month,sales\n" + "".join(f"20{i // 12:02}-{i % 12 + 1:02},{i % 9}\n" for i in range(60))
    )
    (tmp_path / "gap.csv").write_text(
        "month,sales\n" + "".join(f"20{i // 12:02}-{i % 12 + 1:02},{i % 9}\n" for i in range(60) if i != 33)
    )
    (tmp_path / "twice.csv").write_text("day,x\n2024-01-01,1\n2024-01-02,2\n2024-01-02,3\n2024-01-03,4\n")
    (tmp_path / "late.csv").write_text("day,x\n2024-01-01,1\n2024-01-02,2\n2024-01-03,3\n2024-01-01,4\n")
    (tmp_path / "pairs.tsv").write_text("one\teins\ntwo\tzwei\nthree\n")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("empty.txt",), "empty.txt is empty (0 bytes). Expected a text."),
        (("binary.txt",), "binary.txt, line 1: byte 0 is NUL, so this is not text in UTF-8."),
        (("story.txt", "--context", 500), "a context of 500 takes at least 501"),
        (("gap.csv", "--window", 6), "gap.csv, row 33 (from 0): a gap: the time 2002-11 follows on 2002-09"),
        (
            ("twice.csv", "--form", "series"),
            "row 2 (from 0): the time 2024-01-02 occurs twice in 'day'. Set data.times",
        ),
        (("late.csv", "--form", "series"), "row 3 (from 0): the time 2024-01-01 comes after 2024-01-03"),
        (("pairs.tsv", "--form", "pairs"), "pairs.tsv: line 3: 1 field(s) where a pair has 2, separated by tabs."),
        (("sales.csv", "--form", "text"), "data.form = text takes a .txt file"),
        (("iris", "--form", "text"), "data.form = text: iris is of kind vector and cannot be read so."),
        (("iris", "--window", 3), "data.window applies to series; iris was read as vector."),
        (("sales.csv", "--form", "serie"), "data.form = 'serie' is not accepted"),
        (("sales.csv", "--target", "sales", "--tokens", "bpe"), "data.tokens applies to running texts, labelled texts"),
    ],
)
def test_one_message_and_exit_code_2(limpid, files, arguments, says):
    done = limpid("train", *arguments, "--out", "never")
    assert done.code == 2
    assert says in done.err.replace("\n", " ")
    assert "Traceback" not in done.err
    assert not (files / "never").exists()


def test_plain_sources_are_recognised(files):
    kinds = {
        "story.txt": (DataConfig(), "text"),
        "sales.csv": (DataConfig(horizon=2), "series"),
    }
    for name, (config, kind) in kinds.items():
        assert load_data(files / name, config).spec.kind == kind
    table = load_data(files / "sales.csv", DataConfig(target=("sales",)))
    assert table.spec.kind == "table"
    (files / "t.txt").write_text("a,b\n" + "".join(f"{i},{i % 2}\n" for i in range(30)))
    assert load_data(files / "t.txt", DataConfig(target=("b",))).spec.kind == "table"


def test_data_in_memory(files):
    ragged = [np.arange(float(n)) for n in (1, 2, 3, 4)] * 6
    assert load_data((ragged, [0, 1] * 12), DataConfig()).spec.kind == "series"
    assert load_data(ragged, DataConfig(), y=[0, 1] * 12).spec.kind == "series"
    assert load_data((["good", "bad"] * 12, [0, 1] * 12), DataConfig()).spec.kind == "text"
    assert load_data(["a running text of words " * 30], DataConfig(form="text")).spec.task == "tokens"
    with pytest.raises(DataError, match="A list in memory cannot be read with data.form = pairs; that takes"):
        load_data([1, 2], DataConfig(form="pairs"), y=[1, 2])
    with pytest.raises(ConfigError, match="data.form = table: arrays is of kind vector"):
        load_data((np.zeros((20, 2)) + np.arange(20)[:, None], np.arange(20) % 2), DataConfig(form="table"))
