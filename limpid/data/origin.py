"""Where data came from, in messages about them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from limpid.errors import DataError


@contextmanager
def named(*origins: str | None) -> Iterator[None]:
    """Put the first of these names before the message of a DataError that begins with none of them."""
    try:
        yield
    except DataError as error:
        if str(error).startswith(tuple(filter(None, origins))):
            raise
        raise DataError(f"{origins[0]}: {error}") from None
