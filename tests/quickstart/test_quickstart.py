# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's first command on a bare host of each release: refused early, interrupted, finished, repeated, removed."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from support.checkout import Checkout
from support.footprint.compared import Footprint, snapshot

pytestmark = pytest.mark.lab
BEFORE: dict[str, dict[str, Any]] = {}
CHECKOUT = "/opt/edge.cloud"
KEPT = "/var/lib/edge/vms/kept/root.qcow2"  # a disk that the user kept of a VM that is gone


def test_what_would_stop_it_is_found_before_anything_changes(checkout: Checkout) -> None:
    BEFORE[checkout.release] = snapshot(checkout.host)
    script = "import socket, time; s = socket.create_server(('127.0.0.1', 8443)); time.sleep(600)"
    checkout.host.run(["systemd-run", "--unit=taken", "python3", "-c", script])
    done = checkout.make("quickstart", arguments="-e quickstart_subnet=198.18.0.0/15")
    checkout.host.run(["systemctl", "stop", "taken"])
    assert done.returncode != 0
    assert "nothing was changed" in done.stdout
    assert "TCP port 8443 is in use" in done.stdout
    assert "address range 198.18.0.0/15 overlaps" in done.stdout
    assert snapshot(checkout.host)["packages"] == BEFORE[checkout.release]["packages"]
    assert checkout.host.run(["ls", "/etc/edge"], check=False).returncode != 0


@pytest.mark.slow  # a later test pulls the plug of what is whole
def test_a_killed_run_leaves_nothing_that_stops_the_next(checkout: Checkout) -> None:
    """The plug is pulled in the middle of building the appliance."""
    with subprocess.Popen(["make", "quickstart"], **checkout.options(), text=True) as process:  # type: ignore[call-overload]
        assert process.stdout is not None
        shown = []
        for line in process.stdout:
            shown.append(line)
            if "Begin to build the image" in line:
                checkout.host.kill()
                break
        else:
            pytest.fail("".join(shown))
        process.stdout.read()
    assert process.returncode != 0
    checkout.host.start()


def test_a_vm_answers(checkout: Checkout) -> None:
    done = checkout.make("quickstart")
    assert done.returncode == 0, done.stdout
    assert "Your edge cloud runs" in done.stdout
    summary = json.loads((checkout.path / ".quickstart/summary.json").read_text())
    assert summary["vm"] == "web1"
    assert summary["image"].startswith("sha256:")
    assert all(phase["ok"] and phase["seconds"] >= 0 for phase in summary["phases"])
    page = checkout.host.run(["curl", "--silent", "--fail", "--max-time", "30", f"http://{summary['address']}/"]).stdout
    assert "<h1>web1</h1>" in page
    assert ":80 " not in checkout.host.run(["ss", "-Hltn", "src", "0.0.0.0"]).stdout  # nginx came as a package, not as a site
    print(f"{checkout.release}: {summary['seconds']} s")


def test_make_shows_the_page_and_enters_the_vm(checkout: Checkout) -> None:
    page = checkout.make("quickstart-page")
    assert page.returncode == 0, page.stdout
    assert "<h1>web1</h1>" in page.stdout
    entered = checkout.make("quickstart-ssh", arguments="cat /etc/hostname")
    assert "web1" in entered.stdout.splitlines(), entered.stdout


@pytest.mark.slow  # trixie says so after the power cut
def test_again_changes_nothing(checkout: Checkout) -> None:
    done = checkout.make("quickstart")
    assert done.returncode == 0, done.stdout
    assert " 0 changes)" in done.stdout
    assert "●" not in done.stdout


@pytest.mark.slow
def test_check_mode_predicts_nothing_to_do(checkout: Checkout) -> None:
    done = checkout.make("quickstart", arguments="--check --diff")
    assert done.returncode == 0, done.stdout
    assert "●" not in done.stdout


def test_the_vm_comes_back_after_a_power_cut(checkout: Checkout) -> None:
    checkout.host.kill()
    checkout.host.start()
    done = checkout.make("quickstart")
    assert done.returncode == 0, done.stdout
    assert " 0 changes)" in done.stdout
    assert "●" not in done.stdout


def test_others_vms_are_not_removed(checkout: Checkout) -> None:
    define = "virsh dumpxml web1 | sed 's/web1/other/g; /<uuid>/d; /<mac /d' > /tmp/other.xml && virsh define /tmp/other.xml"
    checkout.host.run(["bash", "-c", define])
    refused = subprocess.run(
        [*checkout.host.ssh_command(["make", "-C", "/opt/edge.cloud", "quickstart-down"])],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert "not part of the quick start" in refused.stdout + refused.stderr
    assert checkout.host.run(["virsh", "domstate", "web1"]).stdout.strip() == "running"
    checkout.host.run(["virsh", "undefine", "other"])


def test_down_removes_all_that_it_made_and_only_that(checkout: Checkout) -> None:
    """Inside the host, where everything was made; the lab host itself goes with the last test."""
    checkout.host.run(["install", "-D", "/dev/null", KEPT])
    inside = checkout.host.ssh_command(["make", "--no-print-directory", "-C", "/opt/edge.cloud", "quickstart-down"])
    done = subprocess.run(inside, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"the quick start did not make them: 1. Remove those that you do not need: {KEPT}\n" in done.stdout
    checkout.host.run(["rm", KEPT])
    checkout.host.run(["rmdir", "--parents", "--ignore-fail-on-non-empty", KEPT.rpartition("/")[0]])
    for path in ("/run/edge", "/opt/edge.cloud/.quickstart"):
        assert checkout.host.run(["ls", path], check=False).returncode != 0, path
    assert "edgebr0" not in checkout.host.run(["ip", "-brief", "link"]).stdout
    found = Footprint(BEFORE[checkout.release], snapshot(checkout.host))
    assert found.gone() == {}
    assert found.new_packages() == set()
    assert {row for row in found.ours() if not row.startswith(CHECKOUT)} == set()


def test_down_again_finds_nothing(checkout: Checkout) -> None:
    inside = checkout.host.ssh_command(["make", "--no-print-directory", "-C", "/opt/edge.cloud", "quickstart-down"])
    done = subprocess.run(inside, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing to remove" in done.stdout


def test_the_lab_host_goes_with_down(checkout: Checkout) -> None:
    done = checkout.make("quickstart-down")
    assert done.returncode == 0, done.stdout
    assert checkout.lab.hosts() == []
    assert not (checkout.path / ".quickstart").exists()
