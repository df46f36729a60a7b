"""What the terminal says of the members of a run: a line for each as it ends, and all of them at the end."""

from __future__ import annotations

from limpid.reporting.more_rows import more_rows_sentence
from limpid.reporting.population import Population, Spread
from limpid.reporting.reading import Reading, Row, score_name, score_title
from limpid.reporting.text import doubts, figure, interval, label, number, plain, seconds

OF_MEMBERS = {
    "seeds": "What another seed would change, on the same rows; not what other rows would.",
    "bagging": "What another resample and seed would change, on the same rows.",
    "snapshot": "Snapshots of one training are no independent networks: the interval is too narrow.",
    "folds": "Folds share training rows; the interval of the validation mean allows for it (Nadeau, Bengio 2003). Each "
    "fold also picked its best epoch, which flatters it a little.",
}


def member_line(row: Row, ended: int, count: int) -> str:
    """One member that has ended: `member  3 of 8  seed 2  best epoch 14 of 20  valid loss 0.0912  accuracy 98.15 %`."""
    parts = [f"member {ended:>{len(str(count))}} of {count}", differs(row)]
    if row.get("state") != "finished":
        return "  ".join([*parts, f"{plain(row.get('state'))}: {plain(row.get('reason', ''))}"])
    epochs = f"{row.get('epochs', 0)}"
    parts.append(f"best epoch {row.get('best_epoch', 0):>{len(epochs)}} of {epochs}")
    valid = row.get("valid") or {}
    if "loss" in valid:
        parts.append(f"valid loss {number(float(valid['loss'])):<7}")
    name = score_name({key: value for key, value in valid.items() if key != "loss"})
    if name is not None:
        parts.append(f"{label(name)} {figure(name, valid[name])}")
    parts.append(seconds(float(row.get("seconds") or 0.0)))
    return "  ".join(parts)


def differs(row: Row) -> str:
    """What sets a member apart: its fold, its number of rows, or its seed."""
    if row.get("fold"):
        return f"fold {plain(row['fold'])}"
    if row.get("share"):
        return f"{number(row.get('rows', 0)):>6} rows ({number(100 * row['share'], 3)} %), seed {row.get('seed')}"
    return f"seed {row.get('seed')}"


def population_lines(reading: Reading, population: Population) -> list[str]:
    """All that the terminal says of the members when the run is over."""
    lines = spread_lines(reading, population)
    if population.how == "sizes":
        lines += [*size_lines(population), judged(reading, population)]
    return lines


def spread_lines(reading: Reading, population: Population) -> list[str]:
    """Mean, spread and interval of the members' figures, the score on held-out rows, and what these do not say."""
    table: list[tuple[str, Spread, str]] = []
    if population.values():
        spread = population.spread()
        table.append((f"validation {label(population.figure)}", spread, population.figure))
    score = reading.score or ""
    if len(population.scores(score)) > 1:
        spread = population.score_spread(score)
        table.append((f"{score_title(reading)} of each", spread, score))
    lines = []
    width = max((len(title) for title, _, _ in table), default=0)
    for title, spread, name in table:
        within = f"95 % interval of the mean {interval(name, spread.low, spread.high)}" if spread.n > 1 else ""
        deviation = f"deviation {figure(name, spread.deviation)}" if spread.n > 1 else "one network alone"
        ends = f"least to most {interval(name, spread.least, spread.most)}" if spread.n > 1 else ""
        lines.append(
            "  ".join(filter(None, [f"{title:<{width}}  mean {figure(name, spread.mean)}", deviation, within, ends]))
        )
    if population.held_out is not None:
        lines.append(held_out_line(population.held_out))
    if population.failed:
        lines.append(f"{len(population.failed)} of {len(population.rows) + len(population.failed)} members failed")
    if len(population.answering) > 1 and population.how in OF_MEMBERS:
        lines.append(OF_MEMBERS[population.how])
    return lines


def held_out_line(row: Row) -> str:
    """`out of fold accuracy 97.43 % (95 % interval 96.40 to 98.17 %, n = 1,527 of 1,527)`."""
    name = str(row.get("score", "loss"))
    rows = ", ".join([*doubts(name, row), f"n = {number(row.get('n', 0))} of {number(row.get('of', 0))} training rows"])
    return f"{plain(row.get('name', '')).replace('_', ' ')} {label(name)} {figure(name, row[name])} ({rows})"


def size_lines(population: Population) -> list[str]:
    """The learning curve over training rows as a table."""
    name, rows = population.figure, []
    for size, spread in population.size_spreads():
        within = interval(name, spread.low, spread.high) if spread.n > 1 else ""
        rows.append((number(size), str(spread.n), figure(name, spread.mean), within))
    head = ("training rows", "networks", f"validation {label(name)}", "95 % interval of the mean")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]]


def judged(reading: Reading, population: Population) -> str:
    """Whether more rows would help."""
    return more_rows_sentence(population.figure, population.sizes(), int(reading.data.get("num_valid") or 0))
