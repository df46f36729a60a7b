"""One self-contained page about one run: opens offline, asks for nothing, and runs no script but its own two."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from limpid.errors import RecordError
from limpid.record.files import write_file
from limpid.record.run import Run
from limpid.reporting import curves, facts, figures, population_figures, sections
from limpid.reporting.finding_cards import finding_cards
from limpid.reporting.outcomes import class_names, confusion_of, frequent_confusions
from limpid.reporting.population import Population, read_population
from limpid.reporting.population_lines import judged
from limpid.reporting.reading import Reading, read_run, score_title
from limpid.reporting.text import interval, percent
from limpid.reporting.token_outcomes import place_figure

HERE = Path(__file__).parent
ESCAPED_IN_JSON = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def write_report(run: Run, path: Path | None = None) -> Path:
    """Write the report of a run, finished or not, and return its path (default: report.html in the run folder)."""
    path = path or run.path / "report.html"
    write_file(path, render_report(read_run(run)).encode("utf-8", errors="backslashreplace"))
    return path


def render_report(reading: Reading) -> str:
    """The whole page as text."""
    import jinja2

    population = read_population(reading)
    drawn = _figures(reading, population)
    plotly, script = _plotly_source() if drawn else "", (HERE / "report.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    class_rows, class_remark = sections.class_rows(reading)
    layer_rows, layer_total, layers_left_out = facts.layer_rows(reading)
    wrong = sections.wrong_rows(reading)
    return environment.get_template("report.html.j2").render(
        policy=content_policy(plotly, script),
        style=_markup((HERE / "report.css").read_text(encoding="utf-8")),
        plotly=_markup(plotly),
        script=_markup(script),
        islands=_markup(json_island({name: entry["figure"] for name, entry in drawn.items()})),
        figures=drawn,
        title=reading.title,
        subtitle=sections.subtitle(reading),
        reading=reading,
        cards=sections.headline(reading),
        status=sections.status(reading),
        findings=[card | {"picture": _markup(card["picture"])} for card in finding_cards(reading.findings)],
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


def json_island(value: Any) -> str:
    """JSON that may stand inside a script element: no character of it can end the element or a line.

    >>> json_island({"a": "</script>"})
    '{"a":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escape in ESCAPED_IN_JSON.items():
        text = text.replace(character, escape)
    return text


def content_policy(*scripts: str) -> str:
    """A Content-Security-Policy that lets in nothing from outside, and only these scripts, by their digests."""
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts if script]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)


def _plotly_source() -> str:
    """plotly.js of the installed plotly package, found without importing it, fit to stand in a script element."""
    found = importlib.util.find_spec("plotly")
    for folder in (found.submodule_search_locations or ()) if found else ():
        source = Path(folder) / "package_data" / "plotly.min.js"
        if source.is_file():
            return source.read_text(encoding="utf-8").replace("</script", "<\\/script").replace("<!--", "<\\!--")
    raise RecordError("The report needs plotly's plotly.min.js, which is missing. Reinstall it: pip install plotly")


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
