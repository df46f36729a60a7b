"""The clinic's result as text: docs/CLINIC.md, the rates that `limpid checks` shows, and misses for whoever mends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from clinic.condition import Condition
from clinic.tally import Record, Rows, Share, confusion, false_alarms, fired, stands_first, usable

FOUND, FIRST, PER_CHECK, PER_RUN = 0.95, 0.80, 0.01, 0.05  # the bars


def verdict(passed: bool, measured: Share | None = None) -> str:
    """Whether a bar holds; a dash where a part of the clinic alone was asked for, and nothing was measured of it."""
    if measured is not None and not measured.n:
        return "-"
    return "pass" if passed else "fail"


def pooled(records: Mapping[str, Record], name: str) -> Share:
    """The sum of a share over all checks."""
    shares = [getattr(record, name) for record in records.values()]
    return Share(sum(share.hits for share in shares), sum(share.n for share in shares))


def bars(records: Mapping[str, Record], rows: Rows, conditions: Mapping[str, Condition]) -> str:
    """The bars beside what was measured."""
    searched = {condition.code for condition in conditions.values() if condition.scope == "search"}
    of_runs = {code: record for code, record in records.items() if code not in searched}
    of_searches = {code: record for code, record in records.items() if code in searched}
    found, first, near = pooled(of_runs, "found"), pooled(of_runs, "first"), pooled(records, "near")
    run, search = (false_alarms(rows, conditions, scope) for scope in ("run", "search"))
    found_searches = pooled(of_searches, "found")
    judged = [record for record in records.values() if record.found.n]
    below = [record for record in judged if record.found.value < FOUND]
    surely = [record for record in below if record.found.interval[1] < FOUND]
    noisy = [record.code for record in records.values() if record.false.n and record.false.value > PER_CHECK]
    lines = [
        "| bar | asked | measured | |",
        "| --- | --- | --- | --- |",
        f"| planted fault among the findings, all kinds together | >= {100 * FOUND:.0f} % | {percent(found)} "
        f"| {verdict(found.value >= FOUND, found)} |",
        f"| kinds of fault of which >= {100 * FOUND:.0f} % are found | all | {len(judged) - len(below)} of "
        f"{len(judged)}; below: {kinds(below)}; of these with the whole interval: {kinds(surely)} "
        f"| {verdict(not below)} |",
        f"| planted fault (or its kin) ranked first | >= {100 * FIRST:.0f} % | {percent(first)} "
        f"| {verdict(first.value >= FIRST, first)} |",
        f"| false alarms per healthy run | <= {100 * PER_RUN:.0f} % | {percent(run)} "
        f"| {verdict(run.value <= PER_RUN, run)} |",
        f"| planted fault among the findings of a search | >= {100 * FOUND:.0f} % | {percent(found_searches)} "
        f"| {verdict(found_searches.value >= FOUND, found_searches)} |",
        f"| false alarms per healthy search | <= {100 * PER_RUN:.0f} % | {percent(search)} "
        f"| {verdict(search.value <= PER_RUN, search)} |",
        f"| false alarms per check | <= {100 * PER_CHECK:.0f} % each | above: {', '.join(noisy) or 'none'} "
        f"| {verdict(not noisy)} |",
        f"| near misses silent | all | {percent(near)} | {verdict(near.hits == near.n, near)} |",
    ]
    return "\n".join(lines)


def kinds(records: Sequence[Record]) -> str:
    """ "D06 12/13 (67-99 %), O10 0/3 (0-56 %)"; "none"."""
    return ", ".join(f"{record.code} {record.found.render()}" for record in records) or "none"


def percent(share: Share) -> str:
    """ "97.0 % (95.1-98.2), 388 of 400"."""
    if not share.n:
        return "nothing measured"
    low, high = share.interval
    return f"{100 * share.value:.1f} % ({100 * low:.1f}-{100 * high:.1f}), {share.hits} of {share.n}"


def per_check(records: Mapping[str, Record], names: Mapping[str, str]) -> str:
    """One line for each check."""
    lines = [
        "| check | found | at warning level | first (or kin) | false alarms | notes on healthy | near misses silent |",
        "| --- | --- | --- | --- | --- | ---: | --- |",
    ]
    for code, record in records.items():
        name = names.get(code, "") if record.exists else "no check"
        cells = [share.render() for share in (record.found, record.alarmed, record.first, record.false)]
        lines.append("| " + " | ".join([f"{code} {name}", *cells, str(record.noted), record.near.render()]) + " |")
    return "\n".join(lines)


def matrix(rows: Rows, conditions: Mapping[str, Condition], groups: Sequence[str]) -> str:
    """Condition by condition: how many runs, and which checks fired on how many of them; what is expected in bold."""
    table = confusion(rows)
    lines = ["| condition | runs | checks that fired, in how many runs |", "| --- | ---: | --- |"]
    for name, counts in table.items():
        condition = conditions[name]
        if condition.group not in groups:
            continue
        runs = counts["runs"]
        cells = [
            f"**{code}** {count}" if code in (condition.code, *condition.kin) and condition.group == "sick"
            else f"{code} {count}"
            for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if code != "runs"
        ]  # fmt: skip
        lines.append(f"| {name} | {runs} | {', '.join(cells) or '-'} |")
    return "\n".join(lines)


def healthy_matrix(rows: Rows, conditions: Mapping[str, Condition]) -> str:
    """The healthy runs that were warned of something, and the notes by check."""
    alarmed: Counter[tuple[str, str]] = Counter()
    for row in usable(rows):
        if conditions[row["condition"]].group == "healthy":
            alarmed.update((code, row["condition"]) for code in fired(row, alarms=True))
    if not alarmed:
        return "No healthy run was warned of anything."
    lines = ["| check | healthy condition | runs with a warning |", "| --- | --- | ---: |"]
    lines += [f"| {code} | {name} | {count} |" for (code, name), count in sorted(alarmed.items())]
    return "\n".join(lines)


def neighbours(conditions: Mapping[str, Condition]) -> str:
    """What else may legitimately fire, by condition."""
    lines = ["| condition | as right an answer | legitimate beside it |", "| --- | --- | --- |"]
    for condition in conditions.values():
        if condition.kin or condition.also:
            lines.append(f"| {condition.name} | {', '.join(condition.kin)} | {', '.join(condition.also)} |")
    return "\n".join(lines)


def failures(rows: Rows) -> str:
    """Cases that did not run."""
    odd = [row for row in rows if row["status"] in ("error", "refused")]
    if not odd:
        return "Every case ran."
    counts = Counter((row["condition"], row["status"], row.get("reason", "").replace("|", "/")[:160]) for row in odd)
    lines = ["| condition | how it ended | runs | message |", "| --- | --- | ---: | --- |"]
    lines += [f"| {name} | {status} | {count} | {reason} |" for (name, status, reason), count in sorted(counts.items())]
    return "\n".join(lines)


def document(
    rows: Rows, records: Mapping[str, Record], conditions: Mapping[str, Condition], names: Mapping[str, str], head: str
) -> str:
    """docs/CLINIC.md."""
    kinds_of = [(conditions[row["condition"]].scope, conditions[row["condition"]].group) for row in usable(rows)]
    counts = Counter(group for scope, group in kinds_of if scope == "run")
    searches = Counter(group for scope, group in kinds_of if scope == "search")
    return "\n\n".join(
        [
            "# The clinic: how often the doctor is right",
            head,
            f"{counts['sick']} sick runs of {len(_sick_names(rows, conditions))} conditions, {counts['healthy']} "
            f"healthy runs, {counts['near']} near misses; {searches['sick']} sick searches, {searches['healthy']} "
            f"healthy ones and {searches['near']} near misses, invented from seeds not seen before. Thresholds of runs "
            "were fitted on "
            "even seeds, without the fixtures rings, cancer and diabetes; everything below comes from odd seeds. "
            "Intervals are Wilson's, at 95 %. A false alarm is a finding at warning level or above on a healthy run.",
            "## Bars",
            bars(records, rows, conditions),
            "## Each check",
            "Found: among the findings of its sick runs, at any level. Ranked first: it, or another word for the same "
            "fault, is the root cause that stands first (where there are only notes: one of them).",
            per_check(records, names),
            "## Sick runs: what fired",
            matrix(rows, conditions, ("sick",)),
            "## Near misses: what fired",
            matrix(rows, conditions, ("near",)),
            "## Healthy runs with a warning",
            healthy_matrix(rows, conditions),
            "## Cases that did not run",
            failures(rows),
            "## Neighbours that fire legitimately",
            neighbours({name: conditions[name] for name in dict.fromkeys(row["condition"] for row in rows)}),
            "",
        ]
    ).rstrip() + "\n"  # fmt: skip


def _sick_names(rows: Rows, conditions: Mapping[str, Condition]) -> set[str]:
    """Names of the conditions of sick runs."""
    names = {row["condition"] for row in rows}
    return {name for name in names if (conditions[name].group, conditions[name].scope) == ("sick", "run")}


def rates(records: Mapping[str, Record], head: Mapping[str, str]) -> str:
    """error_rates.toml: by code the counts behind sensitivity and false-alarm rate."""
    lines = [
        "# Written by `make clinic`: how often each check was right, and how often it cried wolf. See docs/CLINIC.md.",
        "",
    ]
    lines += [f'{key} = "{value}"' for key, value in head.items()]
    for code, record in records.items():
        if record.exists and (record.found.n or record.false.n):
            lines += [
                "",
                f"[{code}]",
                f"found = {record.found.hits}",
                f"sick = {record.found.n}",
                f"first = {record.first.hits}",
                f"false_alarms = {record.false.hits}",
                f"healthy = {record.false.n}",
            ]
    return "\n".join(lines) + "\n"


def misses(rows: Rows, conditions: Mapping[str, Condition]) -> str:
    """What fires wrongly and what is missed, with the statistics: one line each."""
    lines: list[str] = []
    for row in usable(rows):
        condition = conditions[row["condition"]]
        where = f"{condition.name} seed {row['seed']} ({row['status']}, score {row['score']})"
        own = row.get("statistics", {})
        alarms = {one["code"]: one for one in row["findings"] if one["level"] != "note"}
        if condition.group == "sick" and condition.code not in fired(row):
            told = own.get(condition.code, "not asked" if condition.code not in row["asked"] else {})
            lines.append(f"MISS   {condition.code} on {where}; first {row['first'] or '-'}; statistics {told}")
        elif condition.group == "sick" and not stands_first(row, (condition.code, *condition.kin)):
            lines.append(f"RANK   {condition.code} not first on {where}: {row['first']} is, {sorted(alarms)}")
        if condition.group == "healthy":
            lines += [
                f"FALSE  {code} on {where}: {one['symptom']} [{one['where']}] statistics {own.get(code)}"
                for code, one in alarms.items()
            ]
        if condition.group == "near" and condition.code in alarms:
            told = alarms[condition.code]["symptom"]
            lines.append(f"NEAR   {condition.code} on {where}: {told} statistics {own.get(condition.code)}")
    lines += [
        f"ERROR  {row['condition']} seed {row['seed']}: {row.get('reason')}" for row in rows if row["status"] == "error"
    ]
    return "\n".join(sorted(lines))
