# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores of VMs of libvirt's own test driver, with real qemu-img: names, seeds, firmware and TPM, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _cluster
from ansible_collections.edge.cloud.plugins.module_utils._cluster import Cluster, Recovery
from ansible_collections.edge.cloud.plugins.module_utils._compute.clone.seeds import read_seed
from ansible_collections.edge.cloud.plugins.module_utils._compute.elsewhere.peers import Peers
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.observe import read_vm
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.elsewhere import Sighting
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import stable_mac, stable_uuid
from ansible_collections.edge.cloud.plugins.module_utils._compute.recovery import journal
from ansible_collections.edge.cloud.plugins.module_utils._compute.restore.tpm_state import FILE, put_state
from ansible_collections.edge.cloud.plugins.module_utils._compute.seed.file import VOLUME
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import mark_of, parse_xml
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError, Unreachable
from ansible_collections.edge.cloud.plugins.module_utils._generation import DOCUMENT, Disk, Generation, Vm, export_name, file_name
from ansible_collections.edge.cloud.plugins.module_utils._host.point_arrive import PointArrivals
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format import qcow2, qemu_img
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.depot import Depot
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.exports import Exports
from ansible_collections.edge.cloud.plugins.module_utils._storage.recovery.intake import Intake
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.store import Store
from ansible_collections.edge.cloud.plugins.modules import recovery_point
from support.certificates import Authority
from support.image_server import free_port
from support.images import MIB, QEMU, cached
from support.modules import run_module
from support.points_nbd import points_nbd
from support.points_server import points_server
from support.recovery import delta, file_of

URI = "test:///default"
SIZE = 80 * MIB
UUID = stable_uuid("web")


class Replica:
    """A replica that has generations of the VM web, made of its record as the module domain wrote it."""

    def __init__(self, root: Path, folders: Folders, driver: Any, digest: str) -> None:
        self.root, self.folders, self.driver, self.digest = root, folders, driver, digest
        self.work, self.disk = root.parent / "work", Disk("vda", digest, SIZE)
        self.number = 0

    def point(self, *commands: str, **files: bytes) -> Path:
        """Take in a point of what qemu-io writes to the disk, and of other files; return the folder that it came in."""
        self.number += 1
        folder = self.work / f"0.{self.number}"
        folder.mkdir(parents=True)
        file = file_of(made := delta(folder / "new", SIZE, *commands))
        made.rename(folder / file_name(file.digest))
        self.disk = self.disk.followed_by(file, self.number, SIZE)
        home = Path(self.folders.vm("web"))
        seeds = {path.stem: path.read_bytes() for path in home.glob("*.iso")}
        found = {}
        for what, data in {**seeds, **files}.items():
            (folder / "small").write_bytes(data)
            found[what] = file_of(folder / "small")
            (folder / "small").rename(folder / file_name(found[what].digest))
        spec = json.loads(mark_of(parse_xml(self.driver.lookupByName("web").XMLDesc(2))).to_json())  # type: ignore[union-attr]
        generation = Generation(
            Vm("web", UUID), 0, self.number, f"2026-05-01T10:00:0{self.number}Z", False, False, spec, found, (self.disk,),
            self.number - 1 or None,
        )  # fmt: skip
        (folder / DOCUMENT).write_bytes(generation.to_json())
        Intake(Depot(self.root), QEMU, Store(Path(self.folders.images))).take(folder, UUID)
        return folder


@pytest.fixture
def module(
    capsys: pytest.CaptureFixture[str], driver: Any, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    monkeypatch.setattr(recovery_point, "RECOVERY", tmp_path / "recovery")
    monkeypatch.setattr(recovery_point, "TPMS", tmp_path / "tpms")
    (tmp_path / "tpms").mkdir()

    def run(name: str, module: str = "recovery_point", **options: Any) -> dict[str, Any]:
        root = {"root": str(tmp_path / "recovery" / "points")} if module == "recovery_point" else {}
        return run_module(capsys, module, **{"uri": URI, "name": name, **root, **options})

    return run


@pytest.fixture
def replica(module: Any, folders: Folders, driver: Any, tmp_path: Path) -> Iterator[Replica]:
    """Have the stopped VM web, with two points."""
    digest = cached(Path(folders.images), b"image" * 1000)
    made = module(
        "web", "domain", state="stopped", memory="64MiB", disks=[{"name": "root", "image": digest, "size": "80MiB"}],
        nics=[{"network": "default"}], cloud_init={"user_data": {"packages": ["tmux"]}},
        context={"ETH0_MAC": stable_mac("web", "nic0"), "SET_HOSTNAME": "web"},
    )  # fmt: skip
    assert made["changed"]
    found = Replica(tmp_path / "recovery" / "points", folders, driver, digest)
    found.point("write -P 5 16M 64k")
    found.point("write -P 6 17M 64k")
    yield found


def xml(driver: Any, name: str) -> ET.Element:
    return ET.fromstring(driver.lookupByName(name).XMLDesc(0))


def mac(driver: Any, name: str) -> str:
    return str(xml(driver, name).find("devices/interface/mac").get("address"))  # type: ignore[union-attr]


def has(path: Path, pattern: int, at: str) -> bool:
    argv = ["qemu-io", "-f", "qcow2", "-c", f"read -P {pattern} {at} 64k", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "read 65536/65536 bytes" in done.stdout, done
    return "verification failed" not in done.stdout


def test_a_new_vm_has_names_and_an_instance_of_its_own(module: Any, replica: Replica, driver: Any, folders: Folders) -> None:
    planned = module("new", vm="web", check=True)
    made = module("new", vm="web")
    assert [made[key] for key in ("actions", "diff", "domain")] == [planned[key] for key in ("actions", "diff", "domain")]
    assert (made["generation"], made["set_aside"], made["domain"]["uuid"]) == ("0.2", None, stable_uuid("new"))
    assert mac(driver, "new") == stable_mac("new", "nic0")
    home = Path(folders.vm("new"))
    assert has(home / "root.qcow2", 5, "16M") and has(home / "root.qcow2", 6, "17M")
    files = dict(read_seed(folders.seed("new"), VOLUME, SubprocessRunner()).files)
    assert json.loads(files["meta-data"]) == {"instance-id": stable_uuid("new"), "local-hostname": "new"}
    assert not module("new", vm="web")["changed"]
    assert not module("new", "domain", state="stopped")["changed"]
    assert module("new", "domain", state="stopped", memory="96MiB")["changed"]
    assert not module("new", vm="web", generation="0.2")["changed"], "the origin stays in the record"
    same = module("old", vm="web", generation="0.1", new_instance_id=False)
    assert same["changed"] and not has(Path(folders.vm("old"), "root.qcow2"), 6, "17M")
    files = dict(read_seed(folders.seed("old"), VOLUME, SubprocessRunner()).files)
    assert json.loads(files["meta-data"]) == {"instance-id": UUID, "local-hostname": "old"}


@pytest.fixture
def elsewhere(
    module: Any, replica: Replica, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Run the module on a host that keeps no points, in a cluster whose replica r1, a real nginx, gives those of ``replica``."""
    with points_server(tmp_path, authority, ["h1"], ["r1"], ["h1"]) as server:
        pair, url = server.pairs["h1"], f"https://127.0.0.1:{server.port}/"
        own = {"ca_file": authority.ca_file, "cert_file": pair.cert, "key_file": pair.key}

        def run(name: str, *others: dict[str, str], **options: Any) -> dict[str, Any]:
            givers, tls = [{"name": "r1", "url": url}, *others], {key: str(path) for key, path in own.items()}
            cluster = {"name": "site", "host": "h1", "replicas": givers, "points": givers, "tls": tls}
            (tmp_path / "cluster.json").write_text(json.dumps({"schema": 1, **cluster}))
            monkeypatch.setattr(_cluster, "FILE", tmp_path / "cluster.json")
            found: dict[str, Any] = module(name, root=str(tmp_path / "none"), **options)
            return found

        yield run


def test_a_point_comes_from_a_replica_where_this_host_keeps_none(
    elsewhere: Any, replica: Replica, folders: Folders, tmp_path: Path
) -> None:
    replica.point("write -P 7 18M 64k")
    planned = elsewhere("new", vm="web", check=True)
    assert not (tmp_path / "recovery/fetched").exists()
    made = elsewhere("new", vm=UUID)
    assert [made[key] for key in ("actions", "diff", "generation")] == [planned[key] for key in ("actions", "diff", "generation")]
    home = Path(folders.vm("new"))
    assert all(has(home / "root.qcow2", pattern, at) for pattern, at in ((5, "16M"), (6, "17M"), (7, "18M")))
    assert read_seed(folders.seed("new"), VOLUME, SubprocessRunner()).files
    assert list((tmp_path / "recovery").rglob("fetched/*")) == []
    assert not elsewhere("new", vm="web", generation="0.3")["changed"]
    back = elsewhere("web", generation="0.1", in_place=True)
    assert back["changed"] and not has(Path(folders.vm("web"), "root.qcow2"), 6, "17M")


def test_what_replicas_do_not_keep_or_cannot_tell_is_refused(elsewhere: Any, replica: Replica, tmp_path: Path) -> None:
    found = elsewhere("new", vm="web", generation="0.9")
    assert found["failed"] and "generation: no replica" in found["msg"] and "0.1, 0.2" in found["msg"]
    found = elsewhere("new", vm="never")
    assert found["failed"] and found["msg"].startswith("vm: no replica of the cluster keeps a recovery point")
    down = {"name": "r2", "url": f"https://127.0.0.1:{free_port()}/"}
    found = elsewhere("new", down, vm="web")
    assert found["failed"] and "generation: the newest recovery point that is found is 0.2" in found["msg"] and "r2" in found["msg"]
    assert elsewhere("new", down, vm="web", generation="0.2")["changed"]


def test_a_replica_that_gives_other_bytes_is_not_believed(elsewhere: Any, replica: Replica, folders: Folders) -> None:
    delta_file = max((replica.root / UUID / "files").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(delta_file.read_bytes())
    data[-1] ^= 1
    delta_file.write_bytes(bytes(data))
    found = elsewhere("new", vm="web")
    assert found["failed"] and delta_file.name in found["msg"]
    assert not Path(folders.vm("new")).exists() and not (replica.root.parent / "fetched").exists()


def test_a_replica_whose_copy_is_damaged_is_passed_over(
    elsewhere: Any, replica: Replica, authority: Authority, folders: Folders, tmp_path: Path
) -> None:
    shutil.copytree(replica.root, tmp_path / "r2/recovery/points")
    for path in (replica.root / UUID / "files").iterdir():
        path.write_bytes(bytes(path.stat().st_size))
    with points_server(tmp_path / "r2", authority, ["h1"], ["r1"], ["h1"]) as server:
        assert elsewhere("new", {"name": "r2", "url": f"https://127.0.0.1:{server.port}/"}, vm="web")["changed"]
    home = Path(folders.vm("new"))
    assert has(home / "root.qcow2", 5, "16M") and has(home / "root.qcow2", 6, "17M")
    assert read_seed(folders.seed("new"), VOLUME, SubprocessRunner()).files
    assert not (tmp_path / "recovery/fetched").exists()


def test_in_place_keeps_names_seeds_and_what_was_there(module: Any, replica: Replica, driver: Any, folders: Folders) -> None:
    home, address = Path(folders.vm("web")), mac(driver, "web")
    seeds = {path.name: path.read_bytes() for path in home.glob("*.iso")}
    module("web", "domain", state="stopped", memory="96MiB", autostart=True)
    planned = module("web", generation="0.1", in_place=True, check=True)
    made = module("web", generation="0.1", in_place=True)
    assert [made[key] for key in ("actions", "diff", "domain")] == [planned[key] for key in ("actions", "diff", "domain")]
    assert (made["domain"]["memory"], mac(driver, "web")) == (64 * MIB, address)
    assert made["diff"]["before"]["memory"] == 96 * MIB
    assert made["domain"]["autostart"] and driver.lookupByName("web").autostart()
    assert {path.name: path.read_bytes() for path in home.glob("*.iso")} == seeds
    assert has(home / "root.qcow2", 5, "16M") and not has(home / "root.qcow2", 6, "17M")
    assert Path(made["set_aside"], "root.qcow2").exists()
    assert not module("web", generation="0.1", in_place=True)["changed"]
    again = module("web", generation="0.1", in_place=True, again=True)
    assert again["set_aside"] == f"{made['set_aside']}-2"
    found = journal.read(recovery_point.RECOVERY / "outgoing" / UUID)
    assert found.last is not None and (found.last.number, found.checkpoint) == (2, None)


def test_a_vm_that_another_hypervisor_has_is_not_made_here(
    module: Any, replica: Replica, folders: Folders, driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its UUID or its name, also where allow_recreate says that it is gone; a host that does not answer is warned of."""

    def ask(host: str) -> list[Sighting]:
        if host == "silent":
            raise Unreachable("No route to host.")
        return [Sighting(host, "web", UUID), Sighting(host, "db", stable_uuid("other"))]

    monkeypatch.setattr(recovery_point, "peers_of_cluster", lambda: Peers(("host3", "silent"), ask))
    twin = module("web", in_place=True)
    assert twin["error"] == {**twin["error"], "code": "conflict", "host": "host3"}, twin
    module("web", "domain", autostart=True)
    module("web", "domain", state="absent", delete_disks=True)
    before = sorted(Path(folders.vms).rglob("*"))
    for name, options in (("web", {"in_place": True}), ("web", {"in_place": True, "allow_recreate": True}), ("db", {"vm": UUID})):
        for check in (True, False):
            found = module(name, check=check, **options)
            assert found["error"] == {**found["error"], "code": "conflict", "host": "host3"}, found
    assert sorted(Path(folders.vms).rglob("*")) == before
    monkeypatch.setattr(recovery_point, "peers_of_cluster", lambda: Peers(("silent",), ask))
    made = module("web", in_place=True)
    assert "silent (No route to host)" in str(made["warnings"]) and not made["domain"]["autostart"]


@pytest.mark.parametrize(
    ("refused", "says"),
    [
        (("new", {"vm": "db"}), "vm: there is no recovery point of 'db'"),
        (("new", {"vm": "web", "generation": "0.9"}), "generation: "),
        (("new", {"vm": "web", "generation": "latest"}), "generation: 'latest' is not a generation"),
        (("web", {}), "name: domain web exists on this host"),
        (("web", {"vm": UUID, "folder": "relative"}), "folder: 'relative' is not an absolute path"),
        (("db", {"vm": "web", "in_place": True}), "name: 0.2 is a recovery point of the VM"),
        (("../x", {"vm": "web"}), "name: "),
    ],
)
def test_what_cannot_be_is_refused_by_its_option(
    module: Any, replica: Replica, folders: Folders, refused: tuple[str, dict[str, Any]], says: str
) -> None:
    name, options = refused
    before = sorted(Path(folders.vms).rglob("*"))
    found = module(name, **options)
    assert found["failed"] and found["msg"].startswith(says), found["msg"]
    assert sorted(Path(folders.vms).rglob("*")) == before


def test_firmware_and_tpm_come_back_with_their_modes(module: Any, replica: Replica, folders: Folders, tmp_path: Path) -> None:
    there = tmp_path / "tpms" / UUID / FILE
    there.parent.mkdir(parents=True)
    there.write_bytes(b"newer")
    replica.point("write -P 7 18M 64k", tpm=b"state of 0.3")
    made = module("web", in_place=True)
    assert "Restore the state of the TPM" in made["actions"]
    assert there.read_bytes() == b"state of 0.3"
    assert [path.stat().st_mode & 0o777 for path in (there, there.parent, there.parent.parent)] == [0o600, 0o700, 0o711]
    assert Path(made["tpm_set_aside"], FILE).read_bytes() == b"newer"
    assert not list(Path(folders.vm("web")).glob("tpm*"))
    assert has(Path(folders.vm("web"), "root.qcow2"), 7, "18M")


@pytest.mark.parametrize("already", ["nothing", "aside", "put"])
def test_another_run_ends_the_exchange_of_a_tpm(tmp_path: Path, already: str) -> None:
    root, source, aside = tmp_path / "tpms", tmp_path / "state", tmp_path / "tpms" / "aside"
    (root / UUID / FILE.parent).mkdir(parents=True)
    (root / UUID / FILE).write_bytes(b"old")
    source.write_bytes(b"new")
    if already != "nothing":
        (root / UUID).rename(aside)
    if already == "put":
        put_state(root, UUID, source, str(aside))
        source.write_bytes(b"new")
    put_state(root, UUID, source, str(aside))
    assert ((root / UUID / FILE).read_bytes(), (aside / FILE).read_bytes(), source.exists()) == (b"new", b"old", False)


def test_a_point_whose_spec_is_not_a_record_is_refused(module: Any, replica: Replica) -> None:
    depot = Depot(replica.root)
    generation = depot.find(UUID, "0.2")
    depot.document(UUID, "0.2").write_bytes(replace(generation, spec={}).to_json())
    found = module("new", vm="web")
    assert found["failed"] and "does not say what the VM is" in found["msg"]


@pytest.fixture
def server(replica: Replica, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Have the point 0.2 of the VM web exported by the real server."""
    exports = Exports(Depot(replica.root), QEMU, Store(Path(replica.folders.images)))
    exports.begin(UUID, "0.2")
    with points_nbd(tmp_path / "nbd", authority, exports.nodes()[0], ["qemu/h1"]) as found:
        monkeypatch.setattr(qemu_img, "QEMU_PKI", str(found.pki("qemu/h1")))
        yield f"nbds://127.0.0.1:{found.port}"


def moved(driver: Any, replica: Replica, name: str) -> list[str]:
    """Do what ``edge-host arrive`` does for the disks of a VM over a point."""
    runner, folders = SubprocessRunner(), replica.folders
    cluster = Cluster("site", "h1", (), recovery=Recovery(root=replica.root))
    state = read_vm(driver, name, DiskFiles(runner, folders), folders)
    return PointArrivals(driver, cluster, folders, runner, 60, replica.root.parent).settle(state)


def guest_writes(path: Path, pattern: int, at: str) -> None:
    """Write whole clusters into an overlay, for which nothing below it is read."""
    node = {"driver": "qcow2", "file": {"driver": "file", "filename": str(path)}, "backing": None}
    subprocess.run(["qemu-io", "-c", f"write -P {pattern} {at} 64k", f"json:{json.dumps(node)}"], check=True, capture_output=True)


def test_a_vm_over_a_point_where_it_is_comes_here_with_what_its_guest_wrote(
    module: Any, replica: Replica, server: str, driver: Any, folders: Folders
) -> None:
    home, asked = Path(folders.vm("new")), {"vm": "web", "point_servers": [server]}
    planned = module("new", check=True, **asked)
    made = module("new", **asked)
    assert [made[key] for key in ("actions", "diff", "domain")] == [planned[key] for key in ("actions", "diff", "domain")]
    arriving, own = home / "root.arriving.qcow2", home / "root.qcow2"
    assert arriving.exists() and not own.exists() and arriving.stat().st_blocks * 512 < MIB
    (afar,) = xml(driver, "new").findall("devices/disk[@device='disk']/backingStore/source[@tls='yes']")
    assert afar.get("name") == export_name(UUID, "0.2", "vda")
    assert (home / "arriving.json").exists() and (home.parent.parent / "arriving/new").exists()
    assert not module("new", **asked)["changed"]
    assert not module("new", "domain", state="stopped")["changed"]
    assert module("new", "domain", state="stopped", memory="96MiB")["changed"], "and the disk stays over the point"
    refused = module("new", "domain_snapshot", snapshot="early")
    assert refused["failed"] and "is still on its way" in refused["msg"]

    guest_writes(arriving, 9, "16M")
    guest_writes(arriving, 9, "40M")
    (home / "root.qcow2").write_bytes(b"of a run that was killed")
    (home.parent / ".arriving-new").mkdir()
    assert moved(driver, replica, "new") == [f"Move disk root of domain new from the recovery point onto {own}"]
    assert all(has(own, pattern, at) for pattern, at in ((9, "16M"), (6, "17M"), (9, "40M")))
    assert qcow2.read_header(own).backing_file == str(Store(Path(folders.images)).image_path(replica.digest))
    assert str(own) in Store(Path(folders.images)).uses_of(replica.digest, [Path(folders.vms)]).users
    assert xml(driver, "new").find("devices/disk[@device='disk']/backingStore/source[@tls='yes']") is None
    assert not (home.parent / ".arriving-new").exists() and moved(driver, replica, "new") == []
    assert module("new", "domain", state="stopped")["changed"] and not arriving.exists()
    assert not module("new", "domain", state="stopped")["changed"]


def damage(root: Path) -> None:
    """Change a byte of what a replica keeps."""
    path = max((root / UUID / "files").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def test_copies_that_are_damaged_keep_no_vm_from_coming_here_while_one_is_whole(
    module: Any, replica: Replica, server: str, authority: Authority, tmp_path: Path
) -> None:
    """Its new data is over that point alone: without it all would be lost."""
    driver, folders = replica.driver, replica.folders
    home = Path(folders.vm("new"))
    assert module("new", vm="web", point_servers=[server])["changed"]
    guest_writes(home / "root.arriving.qcow2", 9, "40M")
    roots = [tmp_path / host / "recovery/points" for host in ("h1", "r1", "r2")]
    for root in roots:
        shutil.copytree(replica.root, root)
    for root in roots[:2]:
        damage(root)
    with ExitStack() as stack:
        givers, found = [], None
        for root in roots[1:]:
            found = stack.enter_context(points_server(root.parents[1], authority, ["h1"], ["r1"], ["h1"]))
            givers.append({"name": root.parents[1].name, "url": f"https://127.0.0.1:{found.port}/"})
        pair = found.pairs["h1"]  # type: ignore[union-attr]
        tls = {"ca_file": str(authority.ca_file), "cert_file": str(pair.cert), "key_file": str(pair.key)}
        document = {"schema": 1, "name": "site", "host": "h1", "replicas": givers, "points": givers, "tls": tls}
        (tmp_path / "cluster.json").write_text(json.dumps({**document, "recovery": {"root": str(roots[0])}}))
        cluster = _cluster.load(tmp_path / "cluster.json")
        arrivals = PointArrivals(driver, cluster, folders, SubprocessRunner(), 60, tmp_path / "fetched")
        assert arrivals.settle(read_vm(driver, "new", DiskFiles(arrivals.runner, folders), folders))
        damage(roots[2])
        assert module("other", vm="web", point_servers=[server])["changed"]
        state = read_vm(driver, "other", DiskFiles(arrivals.runner, folders), folders)
        with pytest.raises(EdgeError, match=r"No copy of the recovery point 0\.2 .* can be restored \(this host: .* r1: .* r2: "):
            arrivals.settle(state)
    own = home / "root.qcow2"
    assert all(has(own, pattern, at) for pattern, at in ((5, "16M"), (6, "17M"), (9, "40M")))
    assert Path(folders.vm("other"), "root.arriving.qcow2").exists()
    assert sorted(path.name for path in Path(folders.vms).iterdir()) == ["new", "other", "web"]
    assert list((tmp_path / "fetched").iterdir()) == []


def test_in_place_over_a_point_where_it_is(module: Any, replica: Replica, server: str, driver: Any, folders: Folders) -> None:
    home, asked = Path(folders.vm("web")), {"generation": "0.2", "in_place": True, "point_servers": [server]}
    planned = module("web", check=True, **asked)
    made = module("web", **asked)
    assert [made[key] for key in ("actions", "diff", "domain")] == [planned[key] for key in ("actions", "diff", "domain")]
    assert Path(made["set_aside"], "root.qcow2").exists() and sorted(path.name for path in home.glob("*.qcow2")) == [
        "root.arriving.qcow2"
    ]
    assert (home / "arriving.json").exists() and not module("web", **asked)["changed"]
    assert moved(driver, replica, "web")
    assert has(home / "root.qcow2", 5, "16M") and has(home / "root.qcow2", 6, "17M")


def test_without_a_server_that_gives_it_nothing_is_made(module: Any, replica: Replica, server: str, folders: Folders) -> None:
    for asked in ({"generation": "0.1", "point_servers": [server]}, {"point_servers": [f"127.0.0.1:{free_port()}"]}):
        found = module("new", vm="web", **asked)
        assert found["failed"] and found["msg"].startswith(
            "point_servers: no server gives the disk of the recovery point; export it"
        )
    assert module("new", vm="web", point_servers=["a b"])["msg"].startswith("point_servers[0]: 'a b' is not valid")
    found = module("new", vm="web", folder="/none", point_servers=[server])
    assert found["failed"] and found["msg"].startswith("point_servers: a generation in a folder is not at a server")
    assert not Path(folders.vm("new")).exists()
