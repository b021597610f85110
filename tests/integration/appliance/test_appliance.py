# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The appliance for real: built by the role's program from packages, booted under emulation, entered, restarted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

FILES = Path(__file__).parents[3] / "roles/appliance/files"
PROGRAM = FILES / "build-appliance"
NEEDED = ("mmdebstrap", "mke2fs", "sfdisk", "grub-mkimage", "qemu-img", "qemu-system-x86_64", "xorriso", "ssh-keygen", "ssh")
MISSING = [program for program in NEEDED if shutil.which(program) is None]
BOOT_SECONDS = 600

BOOT = pytest.mark.slow  # the quick start builds the appliance too, boots it, and pulls its plug

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="building an appliance needs root"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


def command(output: Path, *options: str) -> list[str]:
    argv = [sys.executable, str(PROGRAM), "--name", "debian-web", "--version", "test", "--recipe", "test"]
    return [*argv, "--output", str(output), "--page", str(FILES / "page.html"), *options]


def build(output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(output, *options), capture_output=True, text=True, timeout=1800, check=False)


@dataclass
class Image:
    folder: Path
    output: str

    @property
    def path(self) -> Path:
        return self.folder / "debian-web-test.qcow2"

    @property
    def facts(self) -> dict[str, object]:
        facts: dict[str, object] = json.loads((self.folder / "debian-web-test.json").read_text())
        return facts


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("appliance")
    done = build(folder, "--progress-file", str(folder / "progress"))
    assert done.returncode == 0, done.stderr
    return Image(folder, done.stdout)


class Guest:
    """One VM with user-mode networking; its page and its SSH are forwarded to loopback ports."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder = folder
        self.serial = folder / "serial.log"
        self.http, self.ssh_port = free_ports(2)
        self.key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        self.write_seed()
        disk = folder / "disk.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(disk), "5G"], check=True)
        self.serial.touch()
        self.process = self.boot()

    def boot(self) -> subprocess.Popen[bytes]:
        forward = f"hostfwd=tcp:127.0.0.1:{self.http}-:80,hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22"
        argv = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "640", "-nodefaults"]
        argv += ["-display", "none", "-serial", f"file:{self.serial}", "-device", "virtio-rng-pci"]
        argv += ["-drive", f"file={self.folder / 'disk.qcow2'},if=virtio,cache=unsafe", "-nic", f"user,model=virtio,{forward}"]
        argv += ["-drive", f"file={self.folder / 'seed.iso'},if=virtio,format=raw,readonly=on"]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL)

    def pull_the_plug(self) -> None:
        """What the guest has not made its disk write is gone, as the process that had it in memory."""
        self.process.kill()
        self.process.wait()
        self.process = self.boot()

    def write_seed(self) -> None:
        seed = self.folder / "seed"
        seed.mkdir()
        (seed / "meta-data").write_text("instance-id: test-1\nlocal-hostname: web-under-test\n")
        user = {
            "name": "edge",
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "shell": "/bin/bash",
            "ssh_authorized_keys": [self.key.with_suffix(".pub").read_text().strip()],
        }
        data = {"users": [user], "runcmd": [["touch", "/run/runcmd-ran"]]}
        (seed / "user-data").write_text("#cloud-config\n" + json.dumps(data) + "\n")
        argv = ["xorriso", "-as", "mkisofs", "-quiet", "-J", "-r", "-V", "cidata", "-o", str(self.folder / "seed.iso"), str(seed)]
        subprocess.run(argv, check=True, capture_output=True)

    def page(self) -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/", timeout=30) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return None

    def ssh(self, *argv: str) -> str | None:
        options = [
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "ConnectTimeout=60",
        ]
        flags = [flag for option in options for flag in ("-o", option)]
        line = ["ssh", *flags, "-i", str(self.key), "-p", str(self.ssh_port), "edge@127.0.0.1", "--", *argv]
        try:
            done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            return None
        return done.stdout if done.returncode == 0 else None

    def until(self, what: str, probe: Callable[[], str | None]) -> str:
        began = time.monotonic()
        while time.monotonic() - began < BOOT_SECONDS:
            assert self.process.poll() is None, "QEMU ended"
            found = probe()
            if found is not None:
                print(f"{what}: {time.monotonic() - began:.0f} s")
                return found
            time.sleep(0.5)
        serial = self.serial.read_text(errors="replace")
        pytest.fail(f"no {what} within {BOOT_SECONDS} s; the console ends with:\n{serial[-3000:]}")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _any in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def booted(image: Image, folder: Path) -> Iterator[Guest]:
    one = Guest(folder, image.path)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()


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
