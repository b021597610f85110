# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The appliance for real: built by the role's program from packages, booted under emulation, entered, restarted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.appliance import Guest, Image, booted, build, command

NEEDED = ("mmdebstrap", "mke2fs", "sfdisk", "grub-mkimage", "qemu-img", "qemu-system-x86_64", "xorriso", "ssh-keygen", "ssh")
MISSING = [program for program in NEEDED if shutil.which(program) is None]

BOOT = pytest.mark.slow  # the quick start builds the appliance too, boots it, and pulls its plug

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="building an appliance needs root"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("appliance")
    done = build(folder, "--progress-file", str(folder / "progress"))
    assert done.returncode == 0, done.stderr
    return Image(folder, done.stdout)


@pytest.fixture(scope="session")
def guest(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    with booted(image, tmp_path_factory.mktemp("guest")) as one:
        yield one


@BOOT
def test_the_description_tells_the_truth(image: Image) -> None:
    sha256 = subprocess.run(["sha256sum", str(image.path)], capture_output=True, text=True, check=True).stdout.split()[0]
    info = json.loads(
        subprocess.run(["qemu-img", "info", "--output=json", str(image.path)], capture_output=True, check=True, text=True).stdout
    )
    assert image.facts["sha256"] == sha256
    assert image.facts["size"] == image.path.stat().st_size < 300 << 20
    assert image.facts["min_disk"] == info["virtual-size"] == 2 << 30
    assert (image.facts["os"], image.facts["arch"]) == ("debian-13", "x86_64")
    assert "backing-filename" not in info
    packages = image.facts["packages"]
    assert isinstance(packages, list)
    assert {"cloud-init", "openssh-server", "qemu-guest-agent"} <= {package["name"] for package in packages}


@BOOT
def test_progress_is_reported_while_it_builds(image: Image) -> None:
    progress = (image.folder / "progress").read_text().splitlines()
    assert progress == image.output.splitlines()
    assert any("installing" in line for line in progress)
    assert "sha256" in progress[-1]
    assert not (image.folder / ".build").exists()


@BOOT
def test_a_second_run_does_nothing(image: Image) -> None:
    before = image.path.stat()
    done = build(image.folder, "--mirror", "http://mirror.invalid/debian")
    assert done.returncode == 0
    assert done.stdout.startswith("unchanged")
    assert image.path.stat() == before


@BOOT
def test_the_vm_answers_by_http_and_ssh(guest: Guest) -> None:
    page = guest.until("page", guest.page)
    assert "<h1>web-under-test</h1>" in page
    assert "debian-web test" in page
    assert guest.until("SSH", lambda: guest.ssh("hostname")) == "web-under-test\n"


@BOOT
def test_cloud_init_is_done_and_no_unit_failed(guest: Guest) -> None:
    status = guest.until("cloud-init", lambda: guest.ssh("cloud-init status --wait && ls /run/runcmd-ran"))
    assert "status: done" in status
    assert guest.ssh("systemctl --failed --no-legend") == ""


@BOOT
def test_the_root_file_system_has_grown(guest: Guest) -> None:
    size = guest.until("size", lambda: guest.ssh("df --output=size -B1 / | tail -1"))
    assert int(size) > 4.5 * (1 << 30)


@BOOT
def test_nobody_enters_by_password_and_names_resolve(guest: Guest) -> None:
    config = guest.until("sshd", lambda: guest.ssh("sudo sshd -T"))
    assert "passwordauthentication no" in config
    shadow = guest.until("shadow", lambda: guest.ssh("sudo cut -d: -f2 /etc/shadow"))
    assert all(field.startswith(("!", "*")) for field in shadow.split())
    assert guest.ssh("getent hosts web-under-test")


@BOOT
def test_it_comes_back_after_a_restart_with_its_first_boot(guest: Guest) -> None:
    before = guest.until("page", guest.page)
    boot = guest.until("boot id", lambda: guest.ssh("cat /proc/sys/kernel/random/boot_id"))
    keys = guest.until("host key", lambda: guest.ssh("cat /etc/ssh/ssh_host_ed25519_key.pub"))
    guest.ssh("sudo systemctl --no-block reboot")

    def other_boot() -> str | None:
        now = guest.ssh("cat /proc/sys/kernel/random/boot_id")
        return now if now not in (None, boot) else None

    guest.until("restart", other_boot)
    assert guest.until("page", guest.page) == before
    assert guest.ssh("cat /etc/ssh/ssh_host_ed25519_key.pub") == keys


HOST_KEY = "cat /etc/ssh/ssh_host_ed25519_key.pub"


@BOOT
def test_a_power_cut_at_the_first_answer_loses_nothing_that_was_seen(image: Image, tmp_path: Path) -> None:
    """ext4 allocates late and cloud-init forces nothing to disk: SSH had no host keys afterwards, for ever."""
    with booted(image, tmp_path) as vm:
        key = vm.until("SSH", lambda: vm.ssh(HOST_KEY))
        vm.pull_the_plug()
        assert vm.until("SSH after the cut", lambda: vm.ssh(HOST_KEY)) == key
        assert "nodelalloc" in vm.until("mounts", lambda: vm.ssh("grep ' / ext4 ' /proc/mounts"))


@BOOT
@pytest.mark.parametrize("stage", ["modules:config", "modules:final"])
def test_a_first_boot_that_is_cut_is_made_again(image: Image, tmp_path: Path, stage: str) -> None:
    with booted(image, tmp_path) as vm:
        vm.until(stage, lambda: stage if f"running '{stage}'" in vm.serial.read_text(errors="replace") else None)
        vm.pull_the_plug()
        assert vm.until("SSH after the cut", lambda: vm.ssh("hostname")) == "web-under-test\n"
        assert vm.until("page", vm.page)


def test_a_build_that_fails_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    done = build(tmp_path, "--mirror", "copy:/no/such/mirror")
    assert done.returncode == 1
    assert "mmdebstrap failed" in done.stderr
    assert "/no/such/mirror" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock"]


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(command(tmp_path), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if "extracting" in line or "installing" in line:
                process.send_signal(signal.SIGTERM)
                break
        process.communicate(timeout=600)
    assert process.returncode == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--size", "512M"), ("--size", "2T"), ("--name", "../x"), ("--extra-package", "a b"), ("--release", "sid")],
)
def test_bad_input_is_refused_before_anything_is_done(tmp_path: Path, option: str, value: str) -> None:
    output = tmp_path / "out"
    done = build(output, option, value)
    assert done.returncode == 2
    assert value in done.stderr
    assert not output.exists()


@pytest.mark.slow
def test_two_builds_give_the_same_bytes(image: Image, tmp_path: Path) -> None:
    done = build(tmp_path)
    assert done.returncode == 0, done.stderr
    again = Image(tmp_path, done.stdout)
    assert again.facts == image.facts


@pytest.mark.slow
def test_the_older_release_builds(tmp_path: Path) -> None:
    done = build(tmp_path, "--release", "bookworm")
    assert done.returncode == 0, done.stderr
    assert Image(tmp_path, done.stdout).facts["os"] == "debian-12"
