"""What each form of sequential data takes, and options that mean nothing to the data that were read."""

from __future__ import annotations

from limpid.config import DataConfig
from limpid.data.dataset import Dataset
from limpid.errors import ConfigError

# Options that say something about certain preparations only, by the kind of the preparation.
OPTIONS = {
    "window": ("forecast",),
    "horizon": ("forecast",),
    "times": ("forecast",),
    "stride": ("forecast", "text"),
    "tokens": ("text", "texts", "pairs", "captions"),
    "vocabulary": ("text", "texts", "pairs", "captions"),
    "context": ("text", "texts", "pairs", "captions"),
}
TAKES = {
    "series": "a table of steps",
    "sequences": "JSON lines, Parquet or Arrow with list columns, .npz with x, lengths and y, or a list of arrays",
    "text": "a .txt file, or a folder or archive of them",
    "texts": "class folders of .txt files, a table with a column of text, or a list of texts",
    "pairs": "a table of two columns, lines with a tab, a folder with two .txt files, or two lists of texts",
    "captions": "a table of image files and captions, or a folder with such a table called captions.csv",
}


def refuse_unused(config: DataConfig, dataset: Dataset) -> None:
    """Raise ConfigError for an option of another form of data, which would be passed over in silence."""
    kind = dataset.spec.preparation.get("kind", "")
    if config.form not in ("auto", {"forecast": "series"}.get(kind, kind)):
        raise ConfigError(
            f"data.form = {config.form}: {dataset.spec.name} is of kind {dataset.spec.kind} and cannot be read so. "
            f"Leave it out; {config.form} takes {TAKES.get(config.form, 'rows and columns')}."
        )
    for key, kinds in OPTIONS.items():
        if getattr(config, key) != DataConfig.model_fields[key].default and kind not in kinds:
            meant = {"forecast": "series", "text": "running texts", "texts": "labelled texts"}
            words = ", ".join(meant.get(each, each) for each in kinds)
            raise ConfigError(
                f"data.{key} applies to {words}; {dataset.spec.name} was read as {dataset.spec.kind}. Leave it out, or "
                "say with --form how the source is to be read."
            )
