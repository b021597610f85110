# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of a trial as text of sh: what changes, and what undoes that by itself. Pure.

The process that makes the file ``decision`` first, by a link that cannot be made twice, decides: a confirmation or the timer.
"""

from __future__ import annotations

from shlex import quote

from .model import Parts

CONFIRMED, ROLLED_BACK = "confirmed", "rolled-back"
HEAD = "PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH LC_ALL=C.UTF-8\nexec >> log 2>&1\n"


def units(token: str) -> tuple[str, str]:
    """Return the units of the timer and of the change: a DHCP client that ifup starts lives on in them, so each has its own."""
    return f"edge-uplink-back-{token}", f"edge-uplink-change-{token}"


def change(token: str) -> str:
    """Return the program that tries a change: never without the timer, and undone at once where a command fails."""
    timer, _change = units(token)
    return (
        f"{HEAD}sleep 1\n"
        f"if ! systemctl is-active --quiet {timer}.timer; then\n"
        "  echo 'the timer is not armed; nothing was changed'; : > failed; exit 1\nfi\n"
        ": > begun\n"
        f"if sh -e forward; then : > applied; else : > failed; systemctl --no-block start {timer}.service; fi\n"
    )


def forward(parts: Parts, folder: str) -> str:
    """Return the program that installs the files of the trial and makes the change."""
    lines = [
        f"install -D -m {'600' if path.endswith('.yaml') else '644'} {quote(f'{folder}/trial-{number}')} {quote(path)}"
        for number, (path, _text) in enumerate(parts.trial)
    ]
    return "".join(f"{line}\n" for line in (*lines, *parts.forward))


def undo(parts: Parts, token: str) -> str:
    """Return the program that the timer starts: it does nothing if the change was confirmed, or else puts all back."""
    own, (timer, service) = "decision.$$", units(token)
    lines = [f"echo {ROLLED_BACK} > {own}", f"ln {own} decision 2> /dev/null || true", f"rm -f {own}"]
    lines += [f"[ ! -e {ROLLED_BACK} ] || exit 0"]
    lines += [f'[ "$(cat decision)" = {ROLLED_BACK} ] || exit 0', "echo 'no confirmation: the change is undone'"]
    lines += [f"systemctl kill --signal=KILL {service}.service 2> /dev/null || true"]
    stop = f"systemctl --no-block stop {timer}.timer 2> /dev/null || true"
    lines += [f"[ -e begun ] || {{ : > {ROLLED_BACK}; {stop}; exit 0; }}"]
    kept = [path for path, _text in parts.trial if path.endswith("/interfaces")]  # ifdown reads it once more
    lines += [f"rm -f {quote(path)}" for path, _text in parts.trial if path not in kept]
    return HEAD + "".join(f"{line}\n" for line in (*lines, *parts.back, f": > {ROLLED_BACK}", stop))


def finish(parts: Parts) -> str:
    """Return the program that cleans up after a confirmation."""
    gone = [] if parts.keep else [f"rm -f {quote(path)}" for path, _text in parts.trial]
    return HEAD + "".join(f"{line}\n" for line in (*gone, *parts.finish))
