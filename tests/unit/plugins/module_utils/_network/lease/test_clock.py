# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock of cool-downs: it never goes back, and nobody's wall clock hurries it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Busy
from ansible_collections.edge.cloud.plugins.module_utils._network.lease.clock import Moment, this_moment
from support.leases import NOW, address, declare, leased, released

DAY = 86400.0


def later(seconds: float, *, wall: float | None = None) -> Moment:
    """Return an instant of the same boot; ``wall`` is what the wall clock has done meanwhile."""
    return Moment(NOW.boot, NOW.uptime + seconds, NOW.wall + (seconds if wall is None else wall))


def rebooted(wall: float) -> Moment:
    return Moment("another", 5.0, NOW.wall + wall)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file whose only address was released now, with an hour to cool down."""
    path = tmp_path / "addresses.sqlite3"
    declare(path, type="vxlan", subnets=["192.0.2.0/24"], cool_down=3600)
    leased(path, "old", ipv4="192.0.2.9")
    released(path, "old")
    return path


@pytest.mark.parametrize(
    ("moments", "left"),
    [
        ([later(0)], 3600),
        ([later(3599)], 1),
        ([later(60, wall=-DAY)], 3540),  # the wall clock was set back
        ([later(60, wall=DAY)], 3540),  # it was set forward
        ([rebooted(600)], 3000),
        ([rebooted(-DAY)], 3600),  # it went back over a reboot: the time goes on from there
        ([rebooted(-DAY), Moment("another", 605.0, NOW.wall)], 3000),
    ],
)
def test_an_address_cools_down(path: Path, moments: list[Moment], left: int) -> None:
    for number, now in enumerate(moments[:-1]):
        leased(path, f"other{number}", now)
    with pytest.raises(Busy) as refused:
        leased(path, "new", moments[-1], ipv4="192.0.2.9")
    assert refused.value.details["seconds"] == left


@pytest.mark.parametrize("now", [later(3601), later(3601, wall=-DAY), rebooted(3601)])
def test_then_it_is_free(path: Path, now: Moment) -> None:
    assert address(leased(path, "new", now, ipv4="192.0.2.9")) == "192.0.2.9"


def test_a_wall_clock_that_was_years_ahead_does_not_keep_an_address_for_years(path: Path) -> None:
    leased(path, "soon", later(10, wall=3000 * DAY), ipv4="192.0.2.10")
    released(path, "soon", later(10, wall=3000 * DAY))
    leased(path, "other", rebooted(20))
    again = Moment("another", 5.0 + 3600, NOW.wall + 3620)
    assert address(leased(path, "new", again, ipv4="192.0.2.10")) == "192.0.2.10"


def test_the_kernel_tells_this_moment() -> None:
    one, other = this_moment(), this_moment()
    assert one.boot == other.boot and one.uptime <= other.uptime and other.since(one) < 600
