# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a console log is short and printable, whatever the guest writes."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.edge.cloud.plugins.module_utils._compute.host.console import LINES, WIDTH, console_end
from hypothesis import given
from hypothesis import strategies as st


def test_the_last_lines_come_without_escapes(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(
        b"old\r\n" * 5000 + b"\x1b[!p\x1b]104\x07\x1b[?7h\x1b[6n[  OK  ] Started \x1b[0;1;39mssh\x1b[0m\r\n\r\nweb1 login: "
    )
    rows = console_end(str(log)).splitlines()
    assert len(rows) == LINES
    assert rows[-1] == "web1 login:" and rows[-2].endswith("[  OK  ] Started ssh") and rows[0] == "old"


def test_no_log_and_an_empty_one_give_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert console_end(str(tmp_path / "none")) == console_end(str(tmp_path / "empty")) == ""


@given(st.binary(max_size=3000))
def test_no_guest_gets_control_characters_or_a_flood_through(tmp_path_factory, data: bytes) -> None:
    log = tmp_path_factory.getbasetemp() / "any.log"
    log.write_bytes(data)
    rows = console_end(str(log)).split("\n")
    assert len(rows) <= LINES and all(len(row) <= WIDTH and row.isprintable() for row in rows)
