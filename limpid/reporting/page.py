"""What every self-contained page needs: a policy that lets nothing in, data that cannot break out, plotly's source."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from limpid.errors import RecordError

HERE = Path(__file__).parent

ESCAPED_IN_JSON = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


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


def markup(text: str) -> Any:
    """Text that stands on the page as it is, tags included."""
    from markupsafe import Markup

    return Markup(text)


@functools.cache
def template(name: str) -> Any:
    """A template of this folder, compiled once in a process: it escapes what it shows, and wants every name it uses."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template(name)


def plotly_source() -> str:
    """plotly.js of the installed plotly package, found without importing it, fit to stand in a script element."""
    found = importlib.util.find_spec("plotly")
    for folder in (found.submodule_search_locations or ()) if found else ():
        source = Path(folder) / "package_data" / "plotly.min.js"
        if source.is_file():
            return source.read_text(encoding="utf-8").replace("</script", "<\\/script").replace("<!--", "<\\!--")
    raise RecordError("The report needs plotly's plotly.min.js, which is missing. Reinstall it: pip install plotly")
