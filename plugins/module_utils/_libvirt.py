# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only access to libvirt: connections, and its errors translated by constant name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from ._errors import Busy, Conflict, EdgeError, InvalidInput, NotFound, TimedOut, Unreachable, Unsupported
from ._secrets import without_words

try:
    import libvirt
except ImportError:
    libvirt = None

__all__ = ["DEFAULT_URI", "ERRORS", "connection", "error_name", "intent", "libvirt", "lookup"]

DEFAULT_URI = "qemu:///system"

ERRORS: dict[str, type[EdgeError]] = {
    "VIR_ERR_NO_DOMAIN": NotFound,
    "VIR_ERR_NO_NETWORK": NotFound,
    "VIR_ERR_NO_STORAGE_POOL": NotFound,
    "VIR_ERR_NO_STORAGE_VOL": NotFound,
    "VIR_ERR_NO_SECRET": NotFound,
    "VIR_ERR_NO_CONNECT": Unreachable,
    "VIR_ERR_AUTH_FAILED": Unreachable,
    "VIR_ERR_SYSTEM_ERROR": Unreachable,
    "VIR_ERR_RPC": Unreachable,
    "VIR_ERR_DOM_EXIST": Conflict,
    "VIR_ERR_NETWORK_EXIST": Conflict,
    "VIR_ERR_OPERATION_INVALID": Conflict,
    "VIR_ERR_XML_ERROR": InvalidInput,
    "VIR_ERR_XML_DETAIL": InvalidInput,
    "VIR_ERR_CONFIG_UNSUPPORTED": Unsupported,
    "VIR_ERR_NO_SUPPORT": Unsupported,
    "VIR_ERR_OPERATION_TIMEOUT": TimedOut,
    "VIR_ERR_RESOURCE_BUSY": Busy,
}
MISSING = (
    "VIR_ERR_NO_DOMAIN", "VIR_ERR_NO_NETWORK", "VIR_ERR_NO_STORAGE_POOL", "VIR_ERR_NO_STORAGE_VOL", "VIR_ERR_NO_SECRET",
    "VIR_ERR_NO_INTERFACE",
)  # fmt: skip


@cache
def _constant_names() -> dict[int, str]:
    return {value: name for name, value in vars(libvirt).items() if name.startswith("VIR_ERR_") and isinstance(value, int)}


def error_name(error: Any) -> str:
    """Return the constant's name of a libvirtError, such as ``VIR_ERR_NO_DOMAIN``."""
    return _constant_names().get(error.get_error_code(), "VIR_ERR_UNKNOWN")


@contextmanager
def intent(what: str, hide: Iterable[str | None] = ()) -> Iterator[None]:
    """Turn a libvirtError into the library's error "Could not WHAT: libvirt's message (VIR_ERR_…).".

    ``hide`` are secrets of the XML that libvirt was given, which it may quote.
    """
    try:
        yield
    except libvirt.libvirtError as error:
        name = error_name(error)
        says = without_words(error.get_error_message(), hide)
        raise ERRORS.get(name, EdgeError)(f"Could not {what}: {says} ({name}).", libvirt=name, message=says) from error


def lookup(find: Callable[[str], Any], name: str) -> Any | None:
    """Return ``find(name)``, or None if libvirt says that it does not exist; only this maps missing to None."""
    try:
        return find(name)
    except libvirt.libvirtError as error:
        if error_name(error) in MISSING:
            return None
        raise


@contextmanager
def connection(uri: str = DEFAULT_URI) -> Iterator[Any]:
    """Open ``uri`` and close it at the end; libvirt's own printing to stderr is silenced.

    Raises Unsupported without python3-libvirt, Unreachable if libvirt does not answer. A libvirtError that nothing in the block
    translates, as when libvirtd is killed in the middle, becomes an error of the library.
    """
    if libvirt is None:
        raise Unsupported("Python's libvirt module is missing on this host; install the package python3-libvirt.")
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    with intent(f"connect to libvirt at {uri} (is libvirtd running?)"):
        opened = libvirt.open(uri)
    try:
        with intent(f"go on with libvirt at {uri}"):
            yield opened
    finally:
        with suppress(libvirt.libvirtError):  # the error of the block says more
            opened.close()
