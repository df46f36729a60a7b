"""The clinic counts rightly, its cases are deterministic, and its fast part runs from end to end."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from clinic import __main__ as program
from clinic import shifts
from clinic.condition import Case, Condition, plain
from clinic.conditions_searches import LOOKED_AT, SICK
from clinic.fixtures import FIXTURES
from clinic.register import CONDITIONS, SECONDS, tasks
from clinic.summary import bars, document, misses, per_check, rates
from clinic.tally import Share, false_alarms, tally
from clinic.ward import examine
from limpid.doctor.checks import CHECKS
from limpid.doctor.diagnosis import judge
from limpid.doctor.error_rates import FILE, ErrorRate, error_rates


def nothing(seed: int, folder: Path) -> Case:
    return Case()


SMALL = {
    condition.name: condition
    for condition in (
        Condition("sick-a", "sick", "S05", nothing, kin=("O01",)),
        Condition("near-a", "near", "S05", nothing),
        Condition("well-a", "healthy", "", nothing),
    )
}


def row(condition: str, *codes: str, level: str = "warning", first: str = "", seed: int = 1, **more) -> dict:
    findings = [{"code": code, "level": level, "where": "", "symptom": "s"} for code in codes]
    first = first or (codes[0] if codes else "")
    told = {"condition": condition, "seed": seed, "status": "finished", "score": 0.5, "findings": findings}
    return {**told, "first": first, "asked": ["S05", "O01"], "statistics": {}, **more}


ROWS = [
    row("sick-a", "S05"),
    row("sick-a", "O01", "S05", seed=3),
    row("sick-a", "S05", level="note", seed=5),
    row("sick-a", seed=7),
    row("near-a"),
    row("near-a", "S05", seed=3),
    row("well-a"),
    row("well-a", "O01", seed=3),
    row("well-a", "S05", level="note", seed=5),
    row("well-a", "S05", seed=7, status="error", reason="it fell over"),
]


def test_wilson_interval_is_where_the_score_test_turns() -> None:
    """Its ends solve (p - hits/n)^2 = z^2 p (1 - p) / n."""
    for hits, n in ((0, 20), (9, 10), (388, 400), (20, 20)):
        z2, share = 1.96**2, hits / n
        ends = np.roots([1 + z2 / n, -(2 * share + z2 / n), share**2])
        assert Share(hits, n).interval == pytest.approx(sorted(ends.real), abs=1e-9)
    assert Share(0, 0).render() == "-"
    assert math.isnan(Share(0, 0).value)


def test_counts_are_those_of_the_rows() -> None:
    records = tally(ROWS, SMALL, ["S05", "O01"])
    dead = records["S05"]
    assert (dead.found, dead.alarmed) == (Share(3, 4), Share(2, 4))
    assert dead.first == Share(3, 4)  # its kin counts, silence does not
    assert dead.false == Share(0, 3)
    assert dead.noted == 1
    assert dead.near == Share(1, 2)
    assert records["O01"].false == Share(1, 3)
    assert records["O01"].elsewhere == {"sick-a": 1}
    assert false_alarms(ROWS, SMALL) == Share(1, 3)


def test_a_planted_fault_without_a_check_is_said() -> None:
    records = tally(ROWS, SMALL, ["O01"])
    assert not records["S05"].exists
    assert "| S05 no check |" in per_check(records, {"O01": "rate-too-high"})


def test_texts_hold_bars_misses_and_errors() -> None:
    records = tally(ROWS, SMALL, ["S05", "O01"])
    assert "75.0 %" in bars(records, ROWS, SMALL)
    assert "| fail |" in bars(records, ROWS, SMALL)
    assert "0 of 1; below: S05 3/4 (30-95 %); of these with the whole interval: none" in bars(records, ROWS, SMALL)
    silent = [row("sick-a", seed=seed) for seed in range(8)]
    told = bars(tally(silent, SMALL, ["S05"]), silent, SMALL)
    assert "of these with the whole interval: S05 0/8 (0-32 %)" in told
    text = document(ROWS, records, SMALL, {"S05": "dead-units", "O01": "rate-too-high"}, "Today.")
    assert "| sick-a | 4 | **S05** 3, **O01** 1 |" in text
    assert "it fell over" in text
    told = [line.split()[:2] for line in misses(ROWS, SMALL).splitlines()]
    assert told == [["ERROR", "well-a"], ["FALSE", "O01"], ["MISS", "S05"], ["NEAR", "S05"]]


def test_the_rates_file_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "error_rates.toml"
    file.write_text(rates(tally(ROWS, SMALL, ["S05", "O01"]), {"commit": "abc"}))
    monkeypatch.setattr("limpid.doctor.error_rates.FILE", file)
    error_rates.cache_clear()
    try:
        assert error_rates()["S05"] == ErrorRate(found=3, sick=4, first=3, false_alarms=0, healthy=3)
        assert error_rates()["S05"].cells() == {"found": "75 % of 4", "false alarms": "0.0 % of 3"}
    finally:
        error_rates.cache_clear()


def test_the_rates_that_ship_are_of_checks_that_exist() -> None:
    assert FILE.is_file()
    assert set(error_rates()) <= set(CHECKS)


def test_fixtures_follow_from_the_seed() -> None:
    for name in ("moons", "digits", "tab-c", "bars", "lm"):
        fixture = FIXTURES[name]
        (x, y), (again, y_again), (other, _) = fixture.rows(1), fixture.rows(1), fixture.rows(2)
        if isinstance(x, str):
            assert x == again != other
        elif y is None:
            assert x.equals(again)
            assert not x.equals(other)
        else:
            assert np.array_equal(x, again)
            assert np.array_equal(y, y_again)
            assert not np.array_equal(x, other)


def test_halves_share_no_seed_and_held_back_fixtures_are_only_reported() -> None:
    calibration, report = set(tasks("calibration", None)), set(tasks("report", None))
    assert not {(name, seed) for name, seed in calibration} & report
    assert not any(CONDITIONS[name].held_back for name, _ in calibration)
    assert {name for name, _ in report} == set(CONDITIONS)


def test_cheap_conditions_have_more_seeds() -> None:
    seeds = Counter(name for name, _ in tasks("report", None))
    assert set(SECONDS) <= set(CONDITIONS)
    assert {seeds[name] for name, price in SECONDS.items() if price < 2} == {5}
    assert {seeds[name] for name, price in SECONDS.items() if price > 2} == {3}
    sick = {condition.name for condition in CONDITIONS.values() if condition.group == "sick"}
    searches = {name for name, condition in CONDITIONS.items() if condition.scope == "search"}
    assert {seeds[name] for name in sick - set(SECONDS) - searches} == {8}
    assert {seeds[name] for name in searches} == {40}


def test_the_catalogue_is_covered() -> None:
    """Every check of D, B, N, S, O, G and H has a sick run or search, or is one whose fault no single run shows."""
    planted = {condition.code for condition in CONDITIONS.values() if condition.group == "sick"}
    of_several_runs = {"G14", "B18", "G12", "O11"}
    assert {code for code in CHECKS if code[0] in "DBNSOGH"} - planted <= of_several_runs | {"B21"}
    assert sum(condition.group == "healthy" for condition in CONDITIONS.values()) >= 190


def test_a_search_is_judged_by_its_record_as_it_was_invented(tmp_path: Path) -> None:
    sweep = SICK["best beside breakdown"][1]
    told = examine(CONDITIONS["H04-best-beside-breakdown"], 1, tmp_path / "kept", dear=())
    wanted = judge(sweep.evidence(LOOKED_AT + 1)).findings
    assert [(one["code"], one["symptom"]) for one in told["findings"]] == [(one.code, one.symptom) for one in wanted]
    assert told["asked"] == sorted(judge(sweep.evidence(LOOKED_AT + 1)).statistics)


def test_searches_are_counted_apart() -> None:
    search = Condition("well-s", "healthy", "", nothing, scope="search")
    rows = [*ROWS, row("well-s", "H01"), row("well-s", seed=3)]
    known = {**SMALL, "well-s": search}
    assert false_alarms(rows, known) == Share(1, 3)
    assert false_alarms(rows, known, "search") == Share(1, 2)


def test_a_case_is_deterministic(tmp_path: Path) -> None:
    condition = Condition("moons", "healthy", "", plain("moons", epochs=2))
    first, second = (examine(condition, 1, tmp_path / str(i), dear=()) for i in range(2))
    for told in (first, second):
        told.pop("seconds")
        told["statistics"] = {code: values for code, values in told["statistics"].items() if code[0] != "T"}  # times
    assert first == second
    assert first["status"] == "finished"
    assert first["asked"]


def test_what_falls_over_is_a_row(tmp_path: Path) -> None:
    def broken(seed: int, folder: Path) -> Case:
        raise ZeroDivisionError("planted")

    told = examine(Condition("broken", "sick", "S05", broken), 1, tmp_path / "kept", dear=())
    assert told["status"] == "error"
    assert "planted" in told["reason"]
    refused = examine(CONDITIONS["N01-infinite-row"], 1, tmp_path / "kept", dear=())
    assert refused["status"] == "refused"


def test_known_cases_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shifts, "CACHE", tmp_path)
    monkeypatch.setattr(shifts, "digest", lambda *, judging: "sources")
    calls: list[str] = []
    options = SimpleNamespace(num_workers=0, dear=lambda task: [], stale=False, say=calls.append)
    task = ("near-D15-wide-margin", 1)
    first = shifts.work([task], **vars(options))
    assert calls == ["1 of 1 cases, 0 known before"]
    assert shifts.work([task], **vars(options)) == first
    assert len(calls) == 1
    (tmp_path / "rows.jsonl").open("a").write('{"cut off')
    monkeypatch.setattr(shifts, "digest", lambda *, judging: "rules" if judging else first[0]["runs"])
    again = shifts.work([task], **vars(options))[0]
    assert again["rules"] == "rules"
    assert again["findings"] == first[0]["findings"]
    assert json.loads((tmp_path / "rows.jsonl").read_text().splitlines()[-1])["rules"] == "rules"


ONE_OF_EACH = ("B03-softmax-twice", "H01-range-ends-below-the-best", "near-D15-wide-margin", "healthy-loop-regression")


@pytest.mark.timeout(400)  # seconds on a quiet machine, minutes on a busy one
@pytest.mark.parametrize(
    "names", [pytest.param(program.FAST, marks=pytest.mark.slow, id="all"), pytest.param(ONE_OF_EACH, id="one of each")]
)
def test_the_fast_part_runs(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(names) <= set(program.FAST)
    monkeypatch.setattr(program, "FAST", names)
    monkeypatch.setattr(shifts, "CACHE", tmp_path)
    assert program.main(["--fast", "--workers", "0"]) == 0
    told = capsys.readouterr().out
    assert "| bar | asked | measured | |" in told
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == len(names)
    assert "error" not in {row["status"] for row in rows}
