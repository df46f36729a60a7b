"""A connection to a Ray cluster: found where it is, or started for the occasion, and left as it was."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from limpid.cores import usable_cores
from limpid.errors import ConfigError, MissingExtra

ANSWER_SECONDS = 5.0  # a cluster that takes no connection within this is not there; Ray itself would try for minutes
# Ray reports its use over the network, and advises on the terminal, unless told otherwise.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def require_ray() -> None:
    """Raise MissingExtra, which says how to get it, unless Ray can be imported."""
    if importlib.util.find_spec("ray") is None:
        raise MissingExtra("Training on Ray needs a package that is not installed: pip install 'limpid[ray]'.")


@contextmanager
def cluster(address: str | None) -> Iterator[bool]:
    """Be connected to a cluster; whether it was started here. Left as it was found: connected, running, or neither."""
    import ray
    import ray._private.worker as driver

    if ray.is_initialized() and address is None:
        yield False
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    is_local = address == "local"
    if address not in ("local", "auto"):
        _refuse_silence(address)
    start: dict[str, Any] = {"num_cpus": usable_cores(), "include_dashboard": False} if is_local else {}
    on_sigterm = signal.getsignal(signal.SIGTERM)
    with _environment(QUIET):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of a client that waits; the error says so
                ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **start)
        except (RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
            raise ConfigError(
                f"on={address}: Ray does not connect. {error} (Where the cluster asks for a token, set "
                "RAY_AUTH_MODE=token.)"
            ) from None
        finally:
            if on_sigterm is not None and threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, on_sigterm)  # Ray puts one of its own there
        driver._worker_logs_enabled = False  # as Ray's debugger does; what a cluster prints has no public switch
        try:
            yield is_local
        finally:
            ray.shutdown()  # leaves a cluster that was not started here
            driver._worker_logs_enabled = True


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Environment variables as wanted; when the block is left, as before, RAY_AUTH_MODE too, which Ray sets."""
    before = {name: os.environ.get(name) for name in (*wanted, "RAY_AUTH_MODE")}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _refuse_silence(address: str) -> None:
    """Raise ConfigError where nothing takes connections at `host:port`."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        raise ConfigError(
            f"on={address} is no address. Expected ray://host:port or host:port, or ray for a cluster here."
        )
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"on={address}: no Ray cluster answers there ({error}). Start one with `ray start --head`, or use on=ray."
        ) from None
