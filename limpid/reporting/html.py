"""One self-contained page about one run: opens offline, asks for nothing, and runs no script but its own two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from limpid.record.files import write_file
from limpid.record.run import Run
from limpid.reporting import curves, facts, figures, population_figures, sections
from limpid.reporting.finding_cards import finding_cards
from limpid.reporting.outcomes import class_names, confusion_of, frequent_confusions
from limpid.reporting.page import content_policy, json_island, markup, plotly_source, template
from limpid.reporting.population import Population, read_population
from limpid.reporting.population_lines import judged
from limpid.reporting.reading import Reading, read_run, score_title
from limpid.reporting.search_report import render_search
from limpid.reporting.text import interval, percent
from limpid.reporting.therapy_lines import trial_rows
from limpid.reporting.token_outcomes import place_figure

HERE = Path(__file__).parent


def write_report(run: Run, path: Path | None = None) -> Path:
    """Write the report of a run or a search, finished or not, and return its path (report.html unless told)."""
    path = path or run.path / "report.html"
    page = render_search(run) if run.header.get("kind") == "search" else render_report(read_run(run))
    write_file(path, page.encode("utf-8", errors="backslashreplace"))
    return path


def render_report(reading: Reading) -> str:
    """The whole page as text."""
    population = read_population(reading)
    drawn = _figures(reading, population)
    plotly, script = plotly_source() if drawn else "", (HERE / "report.js").read_text(encoding="utf-8")
    class_rows, class_remark = sections.class_rows(reading)
    layer_rows, layer_total, layers_left_out = facts.layer_rows(reading)
    wrong = sections.wrong_rows(reading)
    return template("report.html.j2").render(
        policy=content_policy(plotly, script),
        style=markup((HERE / "report.css").read_text(encoding="utf-8")),
        plotly=markup(plotly),
        script=markup(script),
        islands=markup(json_island({name: entry["figure"] for name, entry in drawn.items()})),
        figures=drawn,
        title=reading.title,
        subtitle=sections.subtitle(reading),
        reading=reading,
        cards=sections.headline(reading),
        status=sections.status(reading),
        findings=[card | {"picture": markup(card["picture"])} for card in finding_cards(reading.findings)],
        trials=trial_rows(reading.trials),
        metrics=sections.result_metrics(reading),
        score_title=score_title(reading),
        confusions=_confusions(reading),
        class_rows=class_rows,
        class_remark=class_remark,
        wrong=wrong,
        pictured=any(row["picture"] for row in wrong),
        layers=layer_rows,
        layer_total=layer_total,
        model_lines=facts.model_lines(reading),
        layers_left_out=layers_left_out,
        config=facts.config_sections(reading),
        data_blocks=facts.data_blocks(reading),
        machine=facts.machine_pairs(reading),
        speed=facts.speed_pairs(reading),
        members=None if population is None else population_figures.members_block(reading, population),
    )


def _figures(reading: Reading, population: Population | None) -> dict[str, dict[str, Any]]:
    """Figures by their place on the page: {"figure", "title", "caption", "group"}."""
    drawn: dict[str, dict[str, Any]] = {}

    def put(name: str, group: str, figure: figures.Figure | None, title: str, caption: str = "") -> None:
        if figure is not None:
            drawn[name] = {"figure": figure, "title": title, "caption": caption, "group": group}

    loss = curves.loss_figure(reading)
    put("loss", "curves", loss, "Loss", curves.loss_caption(reading) if loss else "")
    if population is not None:
        members = population_figures.curves_figure(reading, population)
        put("members", "curves", members, "Every member", "Thin: one member each. Thick: their mean.")
        sizes = population_figures.sizes_figure(population)
        put("sizes", "curves", sizes, "Learning curve over training rows", judged(reading, population) if sizes else "")
    put("score", "curves", curves.score_figure(reading), "Score and learning rate")
    gap = curves.gap_figure(reading)
    put("gap", "curves", gap, "Gap between training and validation", curves.gap_caption(reading) if gap else "")
    counts_KK = confusion_of(reading)
    if counts_KK is not None:
        caption = f"{int(counts_KK.diagonal().sum()):,} of {int(counts_KK.sum()):,} rows lie on the diagonal."
        put("confusion", "outcome", figures.confusion_figure(counts_KK, reading), "Confusion matrix", caption)
    put("places", "outcome", place_figure(reading), "Right tokens by place")
    for t, (name, scatter, residuals) in enumerate(figures.regression_figures(reading)):
        put(f"scatter{t}", "outcome", scatter, f"Predicted against actual: {name}")
        put(f"residuals{t}", "outcome", residuals, f"Residuals: {name}")
    return drawn


def _confusions(reading: Reading) -> list[dict[str, Any]]:
    """The most frequent mistakes as printable rows."""
    counts_KK = confusion_of(reading)
    if counts_KK is None or len(counts_KK) < 3:
        return []
    rows = frequent_confusions(counts_KK, class_names(reading, len(counts_KK)))
    return [
        row | {"share": percent(row["share"]), "interval": interval("accuracy", row["low"], row["high"])}
        for row in rows
    ]
