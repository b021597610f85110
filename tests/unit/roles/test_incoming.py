# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that hosts send: the real nginx takes one only into the slot that is open for this host, digest and length."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jinja2
import pytest
from support.local_play import local_play
from support.processes import TREE
from support.role_server import Server, role_server
from support.waiting import until

pytestmark = pytest.mark.skipif(not Path("/usr/sbin/nginx").exists(), reason="needs nginx")
DIGEST, OTHER = "a" * 64, "b" * 64
IMAGE = bytes(range(256)) * 1000
LONG = "edge3." + "x" * 70
USER = "www-data" if os.geteuid() == 0 else "root"
NAMES = ["edge1", "edge2", LONG[:64], "edge9", "edge1.evil"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Run it as the role does, with workers that are not root, who can read nothing of a closed slot."""
    with tempfile.TemporaryDirectory(prefix="edge-incoming-") as made:
        folder = Path(made)
        folder.chmod(0o711)
        own(folder / "incoming/edge-slots/body")
        (folder / "incoming/edge-slots").chmod(0o711)
        more = {"wanted": "", "readers": ["edge1", "edge2"], "requesters": [], "connections": 4}
        with role_server(folder, NAMES, USER, incoming=folder / "incoming", senders=["edge1", "edge2", LONG], **more) as found:
            yield found


def own(folder: Path) -> Path:
    """Make a folder of nginx's worker."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if os.geteuid() == 0:
        shutil.chown(folder, USER, "root")
    return folder


@pytest.fixture
def slot(server: Server) -> Iterator[Path]:
    """Open the slot of edge1 for IMAGE."""
    found = own(server.folder / f"incoming/edge-slots/edge1.{DIGEST}.{len(IMAGE)}")
    yield found
    until(lambda: left(server) == [])
    found.chmod(0o700)
    shutil.rmtree(found)


def left(server: Server) -> list[str]:
    """Return the halves of images."""
    return [one.name for one in (server.folder / "incoming/edge-slots/body").iterdir()]


def send(server: Server, name: str, digest: str = DIGEST, body: bytes = IMAGE) -> tuple[str, str]:
    """Send by the curl of the playbook; return the status and what the server says."""
    pair = server.pairs[name]
    tls = ["--cacert", server.authority.ca_file, "--cert", pair.cert, "--key", pair.key]
    argv = ["curl", "--disable", "-sS", "--globoff", "-w", "\n%{http_code}", *tls]
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        url = f"https://127.0.0.1:{server.port}/incoming/{digest}"
        done = subprocess.run([*argv, "-T", file.name, url], capture_output=True, text=True, check=True)
    said, _, told = done.stdout.rpartition("\n")
    return told, said


def test_a_host_sends_into_its_own_open_slot_once(server: Server, slot: Path) -> None:
    assert send(server, "edge1") == ("201", "")
    assert (slot / "image").read_bytes() == IMAGE and [one.name for one in slot.iterdir()] == ["image"]
    assert send(server, "edge1", body=bytes(len(IMAGE))) == ("409", "The image is in its slot already.\n")
    assert (slot / "image").read_bytes() == IMAGE


def test_who_may_not_send_is_told_why_while_a_large_image_is_sent(server: Server) -> None:
    large = bytes(64 * 1024 * 1024)
    status, said = send(server, "edge1", body=large)
    assert status == "403" and said == "No slot is open for this image of edge1.\n"
    status, said = send(server, "edge9", body=large)
    assert status == "403" and "CN=edge9" in said and "may send no images" in said


@pytest.mark.parametrize(("name", "digest", "length"), [
    ("edge2", DIGEST, len(IMAGE)), ("edge9", DIGEST, len(IMAGE)), ("edge1.evil", DIGEST, len(IMAGE)),
    (LONG[:64], DIGEST, len(IMAGE)),
    ("edge1", OTHER, len(IMAGE)), ("edge1", DIGEST, len(IMAGE) - 1), ("edge1", DIGEST, len(IMAGE) + 1),
])  # fmt: skip
def test_nothing_else_is_taken(server: Server, slot: Path, name: str, digest: str, length: int) -> None:
    assert server.ask(name, "PUT", f"/incoming/{digest}", bytes(length)) == 403
    assert list(slot.iterdir()) == []


def test_each_host_has_slots_of_its_own(server: Server, slot: Path) -> None:
    other = own(server.folder / f"incoming/edge-slots/{LONG[:64]}.{DIGEST}.3")
    assert server.ask(LONG[:64], "PUT", f"/incoming/{DIGEST}", b"abc") == 201
    assert (other / "image").read_bytes() == b"abc" and list(slot.iterdir()) == []
    assert server.ask("edge1", "PUT", f"/incoming/{DIGEST}", b"abc") == 403


@pytest.mark.parametrize("path", [
    f"/incoming/../incoming/edge1.{DIGEST}.{len(IMAGE)}/image", f"/incoming/{DIGEST}/image", f"/incoming/edge1/{DIGEST}",
    f"/incoming/%2e%2e/{DIGEST}", f"/incoming/{DIGEST}/", f"/incoming/{DIGEST.upper()}", "/incoming/", "/incoming/body/x",
    f"/incoming/{DIGEST}%00", f"/incoming/{DIGEST}%0a",
])  # fmt: skip
def test_the_path_chooses_no_place(server: Server, slot: Path, path: str) -> None:
    assert server.ask("edge1", "PUT", path, IMAGE) in (400, 404, 413)
    assert list(slot.iterdir()) == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "MKCOL", "MOVE", "COPY", "POST"])
def test_nothing_is_read_back_or_removed(server: Server, slot: Path, method: str) -> None:
    (slot / "image").write_bytes(IMAGE)
    (slot / "image").chmod(0o644)
    assert server.ask("edge1", method, f"/incoming/{DIGEST}", Destination=f"/incoming/{OTHER}") == 403
    assert server.ask("edge1", method, f"/incoming/{DIGEST}", Content_Length=str(len(IMAGE))) == 403
    (slot / "image").unlink()
    assert server.ask("edge1", method, f"/incoming/{DIGEST}", IMAGE) == 403
    assert list(slot.iterdir()) == []


def test_a_body_without_a_length_is_refused(server: Server, slot: Path) -> None:
    assert server.ask("edge1", "PUT", f"/incoming/{DIGEST}", b"3\r\nabc\r\n0\r\n\r\n", Transfer_Encoding="chunked") == 411
    both = {"Transfer_Encoding": "chunked", "Content_Length": str(len(IMAGE))}
    assert server.ask("edge1", "PUT", f"/incoming/{DIGEST}", b"0\r\n\r\n", **both) in (400, 411)
    assert server.ask("edge1", "PUT", f"/incoming/{DIGEST}", b"", Content_Length="0") == 411
    for length in (f"{len(IMAGE)}/../x", f"+{len(IMAGE)}", f"0{len(IMAGE)}", "-1", "9" * 30):
        assert server.ask("edge1", "PUT", f"/incoming/{DIGEST}", b"", Content_Length=length) in (400, 411, 403), length
    assert list(slot.iterdir()) == []


@contextmanager
def begun(server: Server) -> Iterator[ssl.SSLSocket]:
    """Begin to send IMAGE as edge1, until the server has written some of it; yield the connection."""
    head = f"PUT /incoming/{DIGEST} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(IMAGE)}\r\n\r\n".encode()
    with (
        socket.create_connection(("127.0.0.1", server.port)) as plain,
        server.context("edge1").wrap_socket(plain) as connection,
    ):
        connection.sendall(head + IMAGE[:100_000])
        until(lambda: left(server) != [])
        yield connection


def test_a_half_leaves_nothing_and_is_the_only_one(server: Server, slot: Path) -> None:
    with begun(server):
        assert server.ask("edge1", "PUT", f"/incoming/{DIGEST}", IMAGE) == 429, "two at once"
        own(server.folder / f"incoming/edge-slots/edge1.{OTHER}.3")
        assert server.ask("edge1", "PUT", f"/incoming/{OTHER}", b"abc") == 201, "another image at the same time"
        assert list(slot.iterdir()) == []
    until(lambda: left(server) == [])
    assert list(slot.iterdir()) == []
    assert send(server, "edge1") == ("201", "")


def test_a_slot_that_is_closed_takes_nothing_even_of_who_began_before(server: Server, slot: Path) -> None:
    with begun(server) as first:
        if os.geteuid() == 0:
            shutil.chown(slot, "root", "root")
        else:
            slot.chmod(0)
        first.sendall(IMAGE[100_000:])
        assert first.recv(4096).split()[1] in (b"403", b"500")
    assert send(server, "edge1") == ("403", "No slot is open for this image of edge1.\n")
    slot.chmod(0o700)
    assert list(slot.iterdir()) == []


TMPFILES = Path("/usr/bin/systemd-tmpfiles")


@pytest.mark.skipif(not TMPFILES.exists() or os.geteuid() != 0, reason="needs root and systemd-tmpfiles")
def test_only_what_was_sent_is_cleaned(tmp_path: Path) -> None:
    own, kept = tmp_path / "disk/edge-slots", [tmp_path / "disk/of-others", tmp_path / "disk/folder/of-others"]
    for file in (*kept, own / f"edge1.{DIGEST}.1/image", own / "body/0000000001"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    text = (TREE / "roles/image_server/templates/tmpfiles.conf.j2").read_text()
    text = jinja2.Template(text).render(ansible_managed="a test", image_server_incoming=str(tmp_path / "disk"))
    assert text.count(" 1w") == 2
    (tmp_path / "own.conf").write_text(text.replace(" 1w", " 0"))  # as if a week had gone by
    subprocess.run([TMPFILES, "--clean", tmp_path / "own.conf"], check=True, capture_output=True)
    assert [file.exists() for file in kept] == [True, True]
    assert [one.relative_to(own) for one in own.rglob("*")] == [Path("body")]


@pytest.mark.slow  # it runs Ansible
@pytest.mark.parametrize("shared", [True, False])
def test_only_what_the_server_made_goes_with_it(tmp_path: Path, shared: bool) -> None:
    places = {"incoming": tmp_path / "disk", "wanted": tmp_path / "other"}
    own = [places["incoming"] / f"edge-slots/edge1.{DIGEST}.1/image", places["incoming"] / "edge-slots/body/0000000001"]
    own += [places["wanted"] / part / DIGEST for part in ("asked", "body", "state")]
    of_others = [place / name for place in places.values() for name in ("of-others", "folder/of-others")] if shared else []
    for file in (*own, *of_others):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    role = {"name": "edge.cloud.image_server", "tasks_from": "absent"}
    names = {"name": "of-a-test", "remove_packages": False, **{key: str(place) for key, place in places.items()}}
    task = {"ansible.builtin.include_role": role, "vars": {f"image_server_{key}": value for key, value in names.items()}}
    systemd = {"PATH": f"{no_systemd(tmp_path)}:{os.environ['PATH']}"}
    done = local_play(tmp_path, {"tasks": [task], "environment": systemd})
    assert done.returncode == 0, done.stdout + done.stderr
    left = {path for place in places.values() for path in place.rglob("*") if path.is_file()}
    assert left == set(of_others) and [place.exists() for place in places.values()] == [shared, shared]


def no_systemd(folder: Path) -> Path:
    """Return a folder with a systemctl that does nothing: the test is to stop no service of this machine."""
    (folder / "bin").mkdir()
    (folder / "bin/systemctl").write_text("#!/bin/sh\nexit 0\n")
    (folder / "bin/systemctl").chmod(0o755)
    return folder / "bin"
