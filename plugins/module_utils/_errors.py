# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that the library raises; only a module's main() turns one into a failed task."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any, ClassVar

from ._secrets import hidden_in, without_secrets


class EdgeError(Exception):
    """Say what was asked, what was found and what to do, with a stable code for programs.

    ``details`` holds JSON values only; ``as_result`` is what a module returns: ``{"msg", "error": {"code", ...}}``. Users,
    passwords and queries of URLs are hidden in both.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, /, **details: Any) -> None:
        self.message = without_secrets(message)
        super().__init__(self.message)
        self.details: dict[str, Any] = hidden_in(details)

    def as_result(self) -> dict[str, Any]:
        """Return the failure as a module reports it."""
        return {"msg": without_secrets(self.message), "error": {"code": self.code, **hidden_in(self.details)}}


class InvalidInput(EdgeError):
    """A value from the user breaks its rule; nothing was done."""

    code = "invalid_input"


class NotFound(EdgeError):
    """What was asked for does not exist."""

    code = "not_found"


class Conflict(EdgeError):
    """What exists contradicts the request, and we may not change it."""

    code = "conflict"


class Unsupported(EdgeError):
    """This host, file or version cannot do what was asked."""

    code = "unsupported"


class Busy(EdgeError):
    """Another process uses it now; the same call can succeed later."""

    code = "busy"


class TimedOut(EdgeError):
    """The time limit passed first; ``details`` carries the state reached."""

    code = "timed_out"


class Corrupt(EdgeError):
    """Bytes are not what their digest, format or length promises; they were not used."""

    code = "corrupt"


class Unreachable(EdgeError):
    """No connection, or one that could not be authenticated."""

    code = "unreachable"


class NoSpace(EdgeError):
    """A file system is too full for what was asked."""

    code = "no_space"


class DiskFailed(EdgeError):
    """The operating system could not write or read a file of ours."""

    code = "disk_failed"


class Refused(EdgeError):
    """The change would disrupt or lose something, and no option allows that."""

    code = "refused"


class CommandFailed(EdgeError):
    """A program ended with an error; its output is passed on whole."""

    code = "command_failed"

    def __init__(self, argv: Sequence[str], rc: int, stderr: str, **details: Any) -> None:
        words = stderr.strip() or "(it printed no error)"
        super().__init__(f"{argv[0]} failed with exit code {rc}: {words}", argv=list(argv), rc=rc, stderr=stderr, **details)
        self.argv = tuple(argv)
        self.rc = rc
        self.stderr = stderr


ABOUT_A_VALUE = (InvalidInput, NotFound, Conflict, Unsupported, Corrupt, Unreachable, Refused)


@contextmanager
def about_option(option: str) -> Iterator[None]:
    """Let an error about a user's value begin with the option's path, unless it names one; errors of the host stay as they are."""
    try:
        yield
    except EdgeError as error:
        if isinstance(error, ABOUT_A_VALUE) and "option" not in error.details:
            error.message = f"{option}: {error.message}"
            error.args = (error.message,)
            error.details["option"] = option
        raise


def error_about(error: EdgeError, option: str, value: object) -> EdgeError:
    """Return an error that several values may share as that of one: it begins with the option's path and has the value."""
    found = copy(error)
    found.message = f"{option}: {error.message}"
    found.args = (found.message,)
    found.details = {**error.details, "option": option, "value": value}
    return found


def from_os_error(error: OSError) -> EdgeError:
    """Return the library's error for an error of the operating system."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"No space left on the file system{where}; free some or choose another place.", path=error.filename)
    return EdgeError(f"{error.strerror or error}{where}", errno=error.errno, path=error.filename)


def message_of(error: BaseException) -> str:
    """Return the message of an error, also of one of the operating system or of a defect of ours, in a line."""
    if isinstance(error, EdgeError):
        return error.message
    if isinstance(error, OSError):
        return from_os_error(error).message
    return f"a defect in the host's program: {error!r:.300}; its journal says where."


def print_defect(error: BaseException) -> None:
    """Print the traceback of a defect of ours, and nothing of other errors. What catches an error for good calls it, once."""
    if not isinstance(error, (EdgeError, OSError)):
        traceback.print_exception(error)
