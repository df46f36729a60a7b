"""What stands on the screen, to the letter; and that foreign text cannot act there."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from limpid.record.run import Run
from limpid.reporting.progress import Progress, epoch_line
from limpid.reporting.terminal import (
    Screen,
    print_data_summary,
    print_error,
    print_resolved,
    print_result,
    print_table,
    table_lines,
)
from limpid.reporting.text import columns_of, number, plain, seconds
from limpid.spec import DataSpec

TRAIN = {"epoch": 3, "step": 60, "loss": 0.90613, "lr": 0.001, "seconds": 0.4, "samples_per_second": 103456.0}
VALID = {"epoch": 3, "step": 60, "loss": 0.94132, "accuracy": 0.66891}


class Terminal(io.StringIO):
    """A stream that says it is a screen."""

    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> Callable[..., float]:
    """A clock that goes only when told: clock(2.0) lets two seconds pass."""
    now = [100.0]

    def tell(pass_by: float = 0.0) -> float:
        now[0] += pass_by
        return now[0]

    return tell


def test_plain_stream_gets_plain_lines(clock: Callable[..., float]) -> None:
    stream = io.StringIO()
    progress = Progress(stream=stream, clock=clock)
    progress.start(240, 12, "digits, mlp")
    clock(3.0)
    progress.step(30, 0.9)
    progress.epoch(TRAIN, VALID)
    progress.close()
    assert stream.getvalue() == (
        "digits, mlp\n"
        "epoch  3/12  train loss 0.9061  valid loss 0.9413  accuracy 66.89 %  0.40 s  103 thousand samples/s\n"
    )


def test_bar_moves_and_goes(clock: Callable[..., float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    progress = Progress(stream=stream, clock=clock)
    progress.start(240, 12)
    progress.step(1, 2.3)
    assert stream.getvalue() == ""  # what is over at once needs no bar
    clock(2.0)
    progress.step(61, 0.9)
    bar = "━" * 6 + "─" * 18 + "   25 %  epoch 1/12  step 61/240  loss 0.9  5.97 s left"
    assert stream.getvalue() == "\r\x1b[2K" + bar
    progress.step(62, 0.9)  # too soon to draw again
    progress.epoch(TRAIN | {"epoch": 1}, VALID)
    progress.close()
    tail = stream.getvalue().partition("left")[2]
    assert tail.startswith("\r\x1b[2Kepoch  1/12  train loss")
    assert tail.endswith("samples/s\n")


def test_bar_fits_a_narrow_screen(clock: Callable[..., float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    progress = Progress(stream=stream, clock=clock)
    progress.start(240, 12)
    clock(1.0)
    progress.step(100, 0.123456)
    assert columns_of(stream.getvalue().replace("\r\x1b[2K", "")) < 40


def test_dumb_terminal_gets_no_control_characters(clock: Callable[..., float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    progress = Progress(stream=stream, clock=clock)
    progress.start(240, 12)
    clock(1.0)
    progress.step(100, 0.1)
    assert stream.getvalue() == ""


def test_long_runs_print_some_epochs_always_the_first_and_the_last(clock: Callable[..., float]) -> None:
    stream = io.StringIO()
    progress = Progress(stream=stream, clock=clock)
    progress.start(1000, 200)
    for epoch in range(1, 188):  # stopped early
        progress.epoch({"epoch": epoch, "loss": 0.5})
    progress.close()
    shown = [int(line.split()[1].partition("/")[0]) for line in stream.getvalue().splitlines()]
    assert shown == [1, *range(8, 188, 8), 187]


def test_slow_epochs_are_all_printed(clock: Callable[..., float]) -> None:
    stream = io.StringIO()
    progress = Progress(stream=stream, clock=clock)
    progress.start(1000, 200)
    for epoch in range(1, 11):
        clock(30.0)
        progress.epoch({"epoch": epoch, "loss": 0.5})
    assert len(stream.getvalue().splitlines()) == 10


def test_quiet_prints_nothing(clock: Callable[..., float], classification: Run) -> None:
    stream = Terminal()
    screen = Screen(quiet=True, stream=stream)
    screen.progress._clock = clock
    screen.wired(_wiring(), classification)
    clock(5.0)
    screen.step(10, 0.5)
    screen.epoch(TRAIN, VALID)
    screen.close()
    screen.result(classification)
    assert stream.getvalue() == ""


def _wiring() -> SimpleNamespace:
    return SimpleNamespace(
        plan=SimpleNamespace(num_epochs=12, accumulate=2), parts=SimpleNamespace(train=SimpleNamespace(num_batches=15))
    )


def test_json_is_one_strict_object_per_line(classification: Run) -> None:
    stream = Terminal()
    screen = Screen(json=True, stream=stream)
    screen.wired(_wiring(), classification)
    screen.step(10, 0.5)
    screen.epoch(TRAIN | {"loss": math.nan}, VALID)
    screen.close()
    screen.result(classification)
    events = [json.loads(line, parse_constant=pytest.fail) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["run", "start", "epoch", "result"]
    assert events[1]["total_steps"] == 96
    assert events[2]["train"]["loss"] == "nan"
    assert events[3]["accuracy"] == classification.events("result")[0]["accuracy"]


def test_epoch_line_of_a_diverging_run() -> None:
    assert epoch_line({"epoch": 1, "loss": math.nan}, {"loss": math.inf, "r2": -math.inf}, 0) == (
        "epoch 1  train loss nan  valid loss inf  R² -inf"
    )


def test_result_text(classification: Run) -> None:
    stream = io.StringIO()
    print_result(classification, stream=stream)
    assert stream.getvalue() == (
        "test accuracy 92.22 % (95 % interval 90.22 to 94.22 %, n = 270)\n"
        "best epoch 10 of 12, 6.31 s in all, 35.70 % of what the machine's arithmetic allows\n"
        f"run    {classification.path}\n"
    )
    (classification.path / "report.html").write_text("")
    stream = io.StringIO()
    print_result(classification, stream=stream)
    assert stream.getvalue().endswith(f"\nreport {classification.path / 'report.html'}\n")


def test_result_of_a_stopped_run(make_unfinished: Callable[..., Run]) -> None:
    stream = io.StringIO()
    print_result(make_unfinished(status="stopped"), stream=stream)
    assert stream.getvalue().startswith("stopped after step 80, no score\n")


def test_data_summary_text() -> None:
    spec = DataSpec(name="adult", kind="table", task="binary", input_shape=(2,), num_outputs=1,
                    classes=("<=50K", ">50K"), target_names=("income",),
                    num_train=24000, num_valid=4000, num_test=16281)  # fmt: skip
    columns = [{"name": "age", "type": "number"}, {"name": "work", "type": "category", "missing": 9}]
    columns += [{"name": f"x{i}", "type": "number"} for i in range(9)]
    columns += [{"name": "income", "type": "category", "role": "target"}]
    columns += [{"name": "town", "type": "category", "role": "group"}]
    summary = {"columns": columns, "notes": ["no header row"], "dropped": [], "task_reason": "two classes"}
    stream = io.StringIO()
    print_data_summary(summary, spec, stream=stream)
    assert stream.getvalue() == (
        "adult: binary of table data, 24,000 train, 4,000 valid, 16,281 test\n"
        "target: income (two classes)\n"
        "2 classes: <=50K, >50K\n"
        "10 number: age, x0, x1, x2, x3, x4, x5, x6 and 2 more\n"
        "1 category: work (1 with missing values)\n"
        "1 group of the rows: town\n"
        "note: no header row\n"
    )


def test_resolved_text_leaves_out_what_was_given() -> None:
    config = {"model": {"name": "mlp", "hidden": [64, 64]}, "optim": {"name": "adamw", "lr": 0.003, "clip_norm": None}}
    stream = io.StringIO()
    reasons = {"model.name": "table of shape 14", "model.hidden": "width by number of rows", "optim.name": "dense"}
    print_resolved(config, {"optim": {"lr": 0.003}}, reasons, stream=stream)
    assert stream.getvalue() == (
        "chosen:\n"
        "  model.name    mlp     table of shape 14\n"
        "  model.hidden  64, 64  width by number of rows\n"
        "  optim.name    adamw   dense\n"
    )


def test_table_aligns_wide_and_narrow_characters() -> None:
    lines = table_lines([{"name": "猫", "rows": 7}, {"name": "hund", "rows": 1234}, {"name": None, "rows": None}])
    assert lines == ["name  rows", "猫       7", "hund  1234", ""]
    assert table_lines([]) == []


def test_table_as_json() -> None:
    stream = io.StringIO()
    print_table([{"a": 1, "b": "x"}, {"a": None, "b": "[red]"}], json=True, stream=stream)
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"a": 1, "b": "x"},
        {"a": None, "b": "[red]"},
    ]


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\rb", "\x9b2J", "\u202eevil", "back\x08space", "bell\x07", "nul\0"])
def test_foreign_text_cannot_act_on_the_screen(text: str, make_empty: Callable[..., Run]) -> None:
    stream = io.StringIO()
    print_table([{"name": text, text: 1}], stream=stream)
    print_data_summary(
        {"notes": [text], "columns": [{"name": text, "type": text}]}, {"name": text, "classes": [text]}, stream=stream
    )
    print_resolved({"model": {"name": text}}, {}, {"model.name": text}, stream=stream)
    print_error(text, stream=stream)
    Progress(stream=stream).start(1, 1, text)
    with make_empty() as run:
        run.add("result", split=text, step=1, epoch=1, n=1, loss=1.0, score=text, **{text: 0.5})
    print_result(run, stream=stream)
    printed = stream.getvalue().replace("\n", "")
    assert printed.isprintable()
    assert "\\" in printed


def test_errors_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("no file\nexpected a table")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "Error: no file\nexpected a table\n"


def test_narrow_encodings_lose_characters_not_the_run() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", newline="\n")
    print_table([{"name": "naïve · 猫"}], stream=stream)
    assert raw.getvalue() == b"name\nna?ve ? ?\n"


def test_terminal_imports_nothing_heavy() -> None:
    code = (
        "import sys, limpid.reporting.terminal as t; t.Screen().progress.start(1, 1, 'x')\n"
        "assert not {'rich', 'numpy', 'torch', 'jinja2', 'plotly'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_words_for_numbers() -> None:
    assert [number(x) for x in (0, 0.0, 12, 1234567, 0.97564, 123.456, 1e-7, 2.5e9, True)] == [
        "0", "0", "12", "1,234,567", "0.9756", "123.5", "1e-7", "2.5e9", "yes",
    ]  # fmt: skip
    assert [seconds(x) for x in (0.123, 12.34, 59.99, 192, 7500)] == [
        "0.12 s",
        "12.3 s",
        "60.0 s",
        "3 min 12 s",
        "2 h 05 min",
    ]
    assert plain("tab\tü猫\ud800") == "tab\\tü猫\\ud800"
