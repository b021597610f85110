# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A clone of a VM of libvirt's own test driver, with real qemu-img: its own names, the same content, and nothing half done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from ansible_collections.edge.cloud.plugins.module_utils import _files
from ansible_collections.edge.cloud.plugins.module_utils._compute.clone.seeds import read_seed
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.lock import vm_lock
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import stable_mac, stable_uuid
from ansible_collections.edge.cloud.plugins.module_utils._compute.seed.file import VOLUME
from ansible_collections.edge.cloud.plugins.module_utils._image_lock import unwritten
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.format.disk_format import noted_format
from ansible_collections.edge.cloud.plugins.module_utils._storage.store.lease import drop, leases_of, write
from support.hostile import qemu_img, require_records, write_hostile
from support.images import MIB, cached
from support.modules import run_module
from support.small_disk import small_disk
from support.waiting import until

URI = "test:///default"
RAW = {"name": "data", "format": "raw", "size": "16MiB"}


@pytest.fixture
def module(capsys: pytest.CaptureFixture[str], driver: Any, folders: Folders) -> Any:

    def run(module: str, /, **options: Any) -> dict[str, Any]:
        return run_module(capsys, module, **{"uri": URI, **options})

    return run


@pytest.fixture
def clone(module: Any) -> Any:
    return lambda **options: module("domain_clone", **{"name": "new", "source": "web", **options})


@pytest.fixture
def digest(folders: Folders) -> str:
    return cached(Path(folders.images), b"image" * 1000)


@pytest.fixture
def web(module: Any, digest: str, folders: Folders) -> Path:
    """Return the folder of a stopped VM with an overlay of an image, a raw disk, a seed, a context and an interface."""
    disks = [{"name": "root", "image": digest, "size": "80MiB"}, RAW]
    options = {
        "cloud_init": {"user_data": {"packages": ["tmux"]}, "network_config": NETWORK},
        "context": {"ETH0_MAC": stable_mac("web", "nic0"), "SET_HOSTNAME": "web"},
        "nics": [{"network": "default"}],
    }
    made = module("domain", name="web", state="stopped", memory="64MiB", disks=disks, **options)
    assert made["changed"]
    home = Path(folders.vm("web"))
    io(home / "root.qcow2", "write -P 5 16M 64k", "qcow2")
    io(home / "data.raw", "write -P 6 8M 64k", "raw")
    return home


NETWORK = {"version": 2, "ethernets": {"lan": {"match": {"macaddress": stable_mac("web", "nic0").upper()}, "dhcp4": True}}}


def io(path: Path, command: str, form: str) -> str:
    return subprocess.run(["qemu-io", "-f", form, "-c", command, path], check=True, capture_output=True, text=True).stdout


def has(path: Path, pattern: int, at: str, form: str) -> bool:
    return "verification failed" not in io(path, f"read -P {pattern} {at} 64k", form)


def xml(driver: Any, name: str) -> ET.Element:
    return ET.fromstring(driver.lookupByName(name).XMLDesc(0))


def content(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_ino, path.read_bytes()) for path in folder.iterdir()}


def test_a_clone_has_the_content_and_its_own_names(clone: Any, module: Any, web: Path, folders: Folders, driver: Any) -> None:
    home, before = Path(folders.vm("new")), content(web)
    planned = clone(check=True)
    assert [one.name for one in Path(folders.vms).iterdir()] == ["web"]
    made = clone()
    assert made["actions"] == planned["actions"]
    assert made["diff"] == planned["diff"]
    assert made["domain"] == planned["domain"]
    assert made["actions"][0].startswith(f"Copy {web}/root.qcow2 to {home}/root.qcow2 (80MiB, an overlay of {folders.images}/")
    assert made["actions"][1] == f"Copy {web}/data.raw to {home}/data.raw (16MiB)"
    assert made["actions"][-1] == "Define domain new, a clone of web"
    assert sorted(one.name for one in home.iterdir()) == ["context.iso", "data.raw", "root.qcow2", "seed.iso"]
    assert has(home / "root.qcow2", 5, "16M", "qcow2") and has(home / "data.raw", 6, "8M", "raw")
    assert content(web) == before, "the source is as it was"

    root = xml(driver, "new")
    assert root.findtext("uuid") == stable_uuid("new")
    assert root.find("devices/interface/mac").get("address") == stable_mac("new", "nic0")  # type: ignore[union-attr]
    assert "/web/" not in ET.tostring(root, encoding="unicode")
    again = clone()
    assert again["changed"] is False and again["domain"] == made["domain"]
    assert module("domain", name="new", state="stopped")["changed"] is False
    assert module("domain", name="new", state="stopped", memory="96MiB")["changed"]
    module("domain", name="web", state="absent", delete_disks=True)
    assert clone()["changed"] is False, "whatever became of the source"
    assert has(home / "root.qcow2", 5, "16M", "qcow2")
    assert module("domain", name="new", state="absent", delete_disks=True)["changed"]
    assert not home.exists()


def test_the_files_are_private_sparse_and_known(clone: Any, web: Path, folders: Folders, digest: str) -> None:
    require_records(Path(folders.vms))
    write_hostile(web / "data.raw", "backing file")
    clone()
    home, image = Path(folders.vm("new")), Path(folders.image(digest))
    assert {path.stat().st_mode & 0o777 for path in home.iterdir()} == {0o600}
    assert home.stat().st_mode & 0o777 == 0o711
    assert (home / "data.raw").stat().st_blocks * 512 < 8 * MIB
    assert (home / "data.raw").read_bytes() == (web / "data.raw").read_bytes()
    assert [noted_format(home / name) for name in ("root.qcow2", "data.raw")] == ["qcow2", "raw"]
    assert {one.path for one in leases_of(image)} == {f"{web}/root.qcow2", f"{home}/root.qcow2"}


def test_cloud_init_runs_anew(clone: Any, module: Any, web: Path, folders: Folders) -> None:
    clone()
    mac = stable_mac("new", "nic0")
    files = dict(read_seed(folders.seed("new"), VOLUME, SubprocessRunner()).files)
    assert json.loads(files["meta-data"]) == {"instance-id": stable_uuid("new"), "local-hostname": "new"}
    assert json.loads(files["network-config"])["ethernets"]["lan"]["match"]["macaddress"] == mac
    assert "tmux" in files["user-data"]
    context = dict(read_seed(folders.context("new"), "CONTEXT", SubprocessRunner()).files)["context.sh"]
    assert f"ETH0_MAC='{mac}'" in context and "SET_HOSTNAME='new'" in context
    asked = {
        "user_data": {"packages": ["tmux"]},
        "network_config": {**NETWORK, "ethernets": json.loads(files["network-config"])["ethernets"]},
    }
    assert module("domain", name="new", state="stopped", cloud_init=asked)["changed"] is False


def test_a_seed_of_any_text_is_copied_to_the_letter(clone: Any, module: Any, folders: Folders) -> None:
    asked = {"user_data": "#cloud-config\r\n{}\r\n", "meta_data": {"note": "\U0001f600 \u2028"}}
    module("domain", name="web", state="stopped", cloud_init=asked, context={"TEXT": "a\r\nb\rc"})
    assert clone()["changed"]
    assert dict(read_seed(folders.seed("new"), VOLUME, SubprocessRunner()).files)["user-data"] == asked["user_data"]
    again = module("domain", name="new", state="stopped", cloud_init=asked, context={"TEXT": "a\r\nb\rc"})
    assert again["changed"] is False, again["actions"]


def test_a_seed_that_json_cannot_say_is_refused(clone: Any, module: Any, folders: Folders) -> None:
    module("domain", name="web", state="stopped", cloud_init={"meta_data": {"k" * 1200: 1}})
    assert clone()["msg"].startswith("source: the meta_data of its seed has ")


def test_an_override_that_names_a_file_of_the_source_is_refused(
    clone: Any, module: Any, driver: Any, folders: Folders, tmp_path: Path
) -> None:
    """The next change of the clone would write it over the clone's own disk, and both would write one file."""
    disk = tmp_path / "own.img"
    disk.write_bytes(bytes(MIB))
    source = f"<driver name='qemu' type='raw'/><source file='{disk}'/><target dev='vdq' bus='virtio'/>"
    override = f"<domain><devices><disk type='file' device='disk'>{source}</disk></devices></domain>"
    module("domain", name="web", state="stopped", memory="64MiB", xml_override=override)
    for check in (True, False):
        refused = clone(check=check)
        assert refused["error"]["code"] == "refused" and f"its xml_override names {disk}, " in refused["msg"]
    module("domain", name="web", state="stopped", xml_override="")
    assert clone()["changed"]
    assert module("domain", name="new", state="stopped", memory="96MiB")["changed"]
    assert str(disk) not in driver.lookupByName("new").XMLDesc(0)


def test_a_floppy_is_copied_and_an_iso_file_is_shared(clone: Any, driver: Any, folders: Folders, tmp_path: Path) -> None:
    device = "<disk type='file' device='{}'><driver name='qemu' type='raw'/><source file='{}'/><target dev='{}'/>{}</disk>"
    shared = "<readonly/>"
    files = [tmp_path / name for name in ("own.img", "same.img", "same.iso")]
    for file in files:
        file.write_bytes(bytes(1440 * 1024))
    disks = [device.format(*one) for one in (("floppy", files[0], "fda", ""), ("floppy", files[1], "fdb", shared))]
    disks.append(device.format("cdrom", files[2], "hdc", shared))
    head = "<domain type='test'><name>web</name><memory>65536</memory><os><type>hvm</type></os>"
    driver.defineXML(f"{head}<devices>{''.join(disks)}</devices></domain>")
    assert clone()["changed"]
    found = [one.get("file") for one in xml(driver, "new").iterfind("devices/disk/source")]
    assert found == [f"{folders.vm('new')}/fda.raw", str(files[1]), str(files[2])]


@pytest.mark.parametrize("state", ["running", "paused"])
def test_a_source_that_runs_is_refused(state: str, clone: Any, module: Any, web: Path, folders: Folders) -> None:
    module("domain", name="web", state="running")
    module("domain", name="web", state=state)
    for check in (True, False):
        refused = clone(check=check)
        assert refused["error"]["code"] == "refused"
        assert refused["msg"].startswith(f"source: domain web is {state}, and copies of its disks would not be of one instant")
    assert not Path(folders.vm("new")).exists()


def test_a_source_that_is_used_is_not_copied(clone: Any, web: Path, folders: Folders) -> None:
    with (
        unwritten(web / "data.raw"),
        subprocess.Popen(["qemu-io", "-f", "qcow2", "-c", "sleep 600000", web / "root.qcow2"], stdout=subprocess.DEVNULL) as user,
    ):
        try:
            until(lambda: user.poll() is not None or _files.open_in_qemu(web / "root.qcow2"), "the disk to be open")
            assert user.poll() is None
            assert clone()["error"]["code"] == "busy"
        finally:
            user.kill()
    assert [one.name for one in Path(folders.vms).iterdir()] == ["web"]


def test_disks_under_snapshots_become_one_file(clone: Any, module: Any, web: Path, folders: Folders, digest: str) -> None:
    module("domain_snapshot", name="web", snapshot="a")
    io(web / "root.a.qcow2", "write -P 7 17M 64k", "qcow2")
    io(web / "data.a.qcow2", "write -P 8 9M 64k", "qcow2")
    made, home = clone(), Path(folders.vm("new"))
    assert [(one["path"], one["backing"]) for one in made["domain"]["disks"][:2]] == [
        (f"{home}/root.qcow2", None),
        (f"{home}/data.qcow2", None),
    ]
    for pattern, at, name in ((5, "16M", "root"), (7, "17M", "root"), (6, "8M", "data"), (8, "9M", "data")):
        assert has(home / f"{name}.qcow2", pattern, at, "qcow2")
    assert module("domain_snapshot_info", name="new")["snapshots"] == []
    assert not leases_of(Path(folders.image(digest)), home / "root.qcow2")
    disks = [{"name": "root", "image": digest, "size": "80MiB"}, {"name": "data"}]
    assert module("domain", name="new", state="stopped", disks=disks)["changed"] is False


def test_a_name_that_is_taken_is_left_alone(clone: Any, module: Any, web: Path, folders: Folders) -> None:
    assert clone(name="web")["msg"].startswith("name: it is that of the source")
    module("domain", name="other", state="stopped")
    assert clone(name="other")["msg"].startswith("name: domain other exists on this host and is not a clone")
    clone()
    assert clone(source="other")["msg"].startswith("name: domain new exists on this host and is a clone of web")
    module("domain", name="new", state="absent")
    kept = content(Path(folders.vm("new")))
    refused = clone()
    assert refused["error"]["code"] == "conflict" and "but files of one" in refused["msg"]
    assert content(Path(folders.vm("new"))) == kept
    assert clone(source="../web")["error"]["option"] == "source"
    assert clone(name="../web")["error"]["code"] == "invalid_input"
    assert clone(name="third", source="nobody")["msg"] == "source: this host has no domain nobody."


def test_what_a_killed_run_left_is_replaced(clone: Any, web: Path, folders: Folders) -> None:
    scratch = Path(folders.vms, ".clone-new")
    scratch.mkdir()
    (scratch / "root.qcow2").write_bytes(b"half")
    Path(folders.vm("new")).mkdir()
    assert clone()["changed"]
    assert not scratch.exists()
    assert has(Path(folders.vm("new"), "root.qcow2"), 5, "16M", "qcow2")


def test_a_run_that_was_killed_before_the_definition_is_finished(
    clone: Any, web: Path, folders: Folders, driver: Any, digest: str
) -> None:
    made, home, image = clone(), Path(folders.vm("new")), Path(folders.image(digest))
    text = driver.lookupByName("new").XMLDesc(0)
    driver.lookupByName("new").undefine()
    for lease in leases_of(image, home / "root.qcow2"):
        drop(lease)
    scratch = Path(folders.vms, ".clone-new")
    scratch.mkdir()
    write(image, scratch / "root.qcow2", home / "root.qcow2")
    scratch.rmdir()
    note = {"source": "web", "xml": text, "images": {str(home / "root.qcow2"): str(image)}}
    (home / "clone.json").write_text(json.dumps(note))
    before = content(home)
    assert clone(source="other")["error"]["code"] == "conflict"
    planned, finished = clone(check=True), clone()
    assert planned["actions"] == finished["actions"] == ["Define domain new, a clone of web"]
    assert planned["domain"] == finished["domain"] == made["domain"]
    assert {one.path for one in leases_of(image)} == {f"{web}/root.qcow2", f"{home}/root.qcow2"}
    del before["clone.json"]
    assert content(home) == before, "nothing is copied again"
    assert clone()["changed"] is False


def test_an_address_that_another_domain_got_meanwhile_is_not_had_twice(
    clone: Any, module: Any, web: Path, folders: Folders, driver: Any
) -> None:
    clone()
    home, text = Path(folders.vm("new")), driver.lookupByName("new").XMLDesc(0)
    driver.lookupByName("new").undefine()
    (home / "clone.json").write_text(json.dumps({"source": "web", "xml": text, "images": {}}))
    module("domain", name="other", state="stopped", nics=[{"network": "default", "mac": stable_mac("new", "nic0")}])
    for check in (True, False):
        assert clone(check=check)["msg"].startswith(f"name: its MAC address {stable_mac('new', 'nic0')} is used by domain other")
    module("domain", name="other", state="absent")
    assert clone()["actions"] == ["Define domain new, a clone of web"]


def test_the_note_of_a_run_that_was_killed_after_the_definition_does_not_outlive_it(
    clone: Any, module: Any, web: Path, folders: Folders, driver: Any
) -> None:
    """Defined by it again, a clone that went on without domain_clone would write below its own snapshots."""
    clone()
    home, text = Path(folders.vm("new")), driver.lookupByName("new").XMLDesc(0)
    note = home / "clone.json"
    note.write_text(json.dumps({"source": "web", "xml": text, "images": {}}))
    module("domain_snapshot", name="new", snapshot="a")
    module("domain", name="new", state="absent")
    before = content(home)
    for check in (True, False):
        refused = clone(check=check)
        assert refused["error"]["code"] == "conflict" and f"{home}/root.a.qcow2" in refused["msg"], refused
    assert content(home) == before
    module("domain", name="new", state="absent", delete_disks=True)
    assert not home.exists()


def test_no_room_is_found_before_the_first_byte(clone: Any, driver: Any, folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "vms").rmdir()
    with small_disk(tmp_path / "vms", 64 + 24):
        disk = tmp_path / "disk.img"
        disk.write_bytes(os.urandom(16 * MIB))
        (tmp_path / "over.qcow2").touch()
        qemu_img("create", "-q", "-f", "qcow2", "-b", disk, "-F", "raw", tmp_path / "over.qcow2")
        driver.defineXML(FOREIGN.format(folder=tmp_path))
        for check in (True, False):
            failed = clone(source="old", check=check)
            assert failed["error"]["code"] == "no_space", failed
            assert failed["msg"].startswith("A clone of domain old needs")
        assert list(Path(folders.vms).iterdir()) == []


KILLED = """
import sys, libvirt
from ansible_collections.edge.cloud.plugins.module_utils._compute.clone.reconcile import Cloner
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from ansible_collections.edge.cloud.plugins.module_utils._disks.files import DiskFiles
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
runner, folders = SubprocessRunner(), Folders(*sys.argv[2:])
opened = libvirt.open(sys.argv[1])
Cloner(opened, DiskFiles(runner, folders), runner, folders, "new", "old", 5.0).run(False)
"""


def test_a_run_that_is_killed_while_it_copies_is_begun_anew(clone: Any, folders: Folders, digest: str, tmp_path: Path) -> None:
    """It waits for the image, which is locked as by a removal, and so stands still in the middle."""
    disk, over, image = tmp_path / "disk.img", tmp_path / "over.qcow2", Path(folders.image(digest))
    disk.write_bytes(b"first" * MIB)
    qemu_img("create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", over)
    (tmp_path / "cd.iso").touch()
    stopped = "<t:runstate xmlns:t='http://libvirt.org/schemas/domain/test/1.0'>5</t:runstate></domain>"
    text = FOREIGN.format(folder=tmp_path).replace("</domain>", stopped)
    (tmp_path / "node.xml").write_text(f"<node>{text}</node>")
    uri, scratch, home = f"test://{tmp_path}/node.xml", Path(folders.vms, ".clone-new"), Path(folders.vm("new"))
    with (
        _files.file_lock(image, shared=False),
        subprocess.Popen([sys.executable, "-c", KILLED, uri, folders.vms, folders.images, folders.locks]) as run,
    ):
        try:
            until(lambda: run.poll() is not None or (scratch / "vdb.qcow2").exists(), "the copy of the second disk")
            assert run.poll() is None
        finally:
            run.kill()
    assert (scratch / "vda.raw").stat().st_size == disk.stat().st_size
    assert not home.exists()
    disk.write_bytes(b"again" * MIB)
    assert clone(source="old", uri=uri)["changed"]
    assert not scratch.exists()
    assert (home / "vda.raw").read_bytes() == disk.read_bytes()
    assert {one.path for one in leases_of(image)} == {str(home / "vdb.qcow2")}


def test_a_domain_without_disks_has_a_folder(clone: Any, module: Any, folders: Folders) -> None:
    module("domain", name="web", state="stopped")
    assert clone()["changed"]
    assert Path(folders.vm("new")).is_dir() and not any(Path(folders.vm("new")).iterdir())


def test_an_overlay_elsewhere_names_its_image_by_a_relative_path(clone: Any, driver: Any, folders: Folders, digest: str) -> None:
    image, other = Path(folders.image(digest)), Path(folders.vms).parent / "srv/deep"
    other.mkdir(parents=True)
    over = other / "over.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-b", f"../../images/{image.name}", "-F", "qcow2", over)
    qemu_img("bitmap", "--add", "-f", "qcow2", over, "checkpoint")
    disk = f"<disk type='file'><driver name='qemu' type='qcow2'/><source file='{over}'/><target dev='vda'/></disk>"
    driver.defineXML(
        f"<domain type='test'><name>web</name><memory>65536</memory><os><type>hvm</type></os><devices>{disk}</devices></domain>"
    )
    assert clone()["domain"]["disks"][0]["backing"] == str(image)
    made = Path(folders.vm("new"), "vda.qcow2")
    shown = json.loads(
        subprocess.run(["qemu-img", "info", "--output=json", made], check=True, capture_output=True, text=True).stdout
    )
    assert shown["backing-filename"] == str(image)
    assert "bitmaps" not in shown["format-specific"]["data"]


def test_a_domain_of_others(clone: Any, module: Any, folders: Folders, driver: Any, tmp_path: Path) -> None:
    base, disk, iso = (tmp_path / name for name in ("base.qcow2", "disk.img", "cd.iso"))
    qemu_img("create", "-q", "-f", "qcow2", base, "8M")
    io(base, "write -P 3 1M 64k", "qcow2")
    qemu_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", tmp_path / "over.qcow2")
    disk.write_bytes(bytes(MIB))
    write_hostile(disk, "backing file")
    iso.write_bytes(bytes(MIB))
    driver.defineXML(FOREIGN.format(folder=tmp_path))
    made, home = clone(source="old"), Path(folders.vm("new"))
    assert made["changed"] and clone(source="old")["changed"] is False
    assert sorted(one.name for one in home.iterdir()) == ["vda.raw", "vdb.qcow2"]
    assert (home / "vda.raw").read_bytes() == disk.read_bytes()
    assert has(home / "vdb.qcow2", 3, "1M", "qcow2")
    root = xml(driver, "new")
    files = [one.get("file") for one in root.iterfind("devices/disk/source")]
    assert files == [str(home / "vda.raw"), str(home / "vdb.qcow2"), str(iso)]
    macs = [one.get("address") for one in root.iterfind("devices/interface/mac")]
    assert len(set(macs)) == 2 and not {"52:54:00:ab:00:01", "52:54:00:ab:00:02"} & set(macs)
    assert module("domain", name="new", state="stopped")["changed"] is False
    assert xml(driver, "old").findtext("name") == "old" and not xml(driver, "old").find("metadata")
    module("domain", name="new", state="absent", delete_disks=True)
    assert not home.exists() and disk.exists() and iso.exists() and base.exists()


def test_what_options_took_over_of_the_source_is_taken_over_in_the_clone(
    clone: Any, module: Any, folders: Folders, driver: Any, tmp_path: Path
) -> None:
    for name in ("disk.img", "cd.iso"):
        (tmp_path / name).write_bytes(bytes(MIB))
    qemu_img("create", "-q", "-f", "qcow2", tmp_path / "over.qcow2", "8M")
    driver.defineXML(FOREIGN.format(folder=tmp_path))
    override = "<domain><devices><graphics type='vnc' passwd='Secret-7'/></devices></domain>"
    asked = {
        "disks": [{"name": "data", "path": str(tmp_path / "disk.img"), "limits": {"total_iops": 500}}],
        "nics": [{"name": "lan", "mac": "52:54:00:AB:00:01", "link": False}],
        "boot_order": ["lan", "vdb"],
        "xml_override": override,
    }
    module("domain", name="old", state="stopped", adopt=True, **asked)
    assert module("domain", name="old", state="stopped", **asked)["changed"] is False
    made = clone(source="old")
    assert made["changed"] and "Secret-7" not in json.dumps(made)
    assert sorted(one.name for one in Path(folders.vm("new")).iterdir()) == ["data.raw", "vdb.qcow2"]
    same = {**asked, "disks": [{"name": "data", "limits": {"total_iops": 500}}], "nics": [{"name": "lan", "link": False}]}
    again = module("domain", name="new", state="stopped", **same)
    assert again["changed"] is False, again["actions"]
    assert module("domain", name="new", state="stopped")["changed"] is False
    assert [nic["mac"] for nic in made["domain"]["nics"]] == [stable_mac("new", nic["name"]) for nic in made["domain"]["nics"]]
    module("domain", name="new", state="absent", delete_disks=True)
    assert not Path(folders.vm("new")).exists()


FOREIGN = """<domain type='test'><name>old</name><memory>65536</memory><os><type>hvm</type></os><devices>
<disk type='file'><driver name='qemu' type='raw'/><source file='{folder}/disk.img'/><target dev='vda'/></disk>
<disk type='file'><driver name='qemu' type='qcow2'/><source file='{folder}/over.qcow2'/><target dev='vdb'/></disk>
<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{folder}/cd.iso'/><target dev='hda'/>
<readonly/></disk>
<interface type='network'><mac address='52:54:00:ab:00:01'/><source network='default'/></interface>
<interface type='user'><mac address='52:54:00:ab:00:02'/></interface></devices></domain>"""


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ("<disk type='block'><source dev='/dev/null'/><target dev='vda'/></disk>", "disk vda (vda) is not a file of this host"),
        ("<disk type='file'><source file='/nowhere.img'/><target dev='vda'/></disk>", "is /nowhere.img, which is missing"),
        (
            "<disk type='file'><driver name='qemu' type='vmdk'/><source file='/etc/hostname'/><target dev='vda'/></disk>",
            "has the format vmdk",
        ),
        (
            "<disk type='file'><source file='/etc/hostname'/><target dev='vda'/><shareable/></disk>",
            "is shared with other domains",
        ),
        ("<serial type='file'><source path='/tmp/log'/></serial>", "its serial is of type file (/tmp/log)"),
        ("<graphics type='vnc' socket='/tmp/vnc'/>", "its display listens on /tmp/vnc"),
        ("<filesystem><driver type='virtiofs'/><source socket='/tmp/fs'/><target dir='t'/></filesystem>", "at /tmp/fs"),
        ("<interface type='bridge'><source bridge='b'/><mac address='52:54:00:00:00:01'/></interface>", None),
        (
            "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev>",
            "a device of this host (pci) is passed through",
        ),
    ],
)
def test_what_only_one_domain_can_have(device: str, why: str | None, clone: Any, driver: Any, folders: Folders) -> None:
    driver.defineXML(
        f"<domain type='test'><name>web</name><memory>65536</memory><os><type>hvm</type></os><devices>{device}</devices></domain>"
    )
    for check in (True, False):
        found = clone(check=check)
        if why is None:
            assert found["changed"]
            continue
        assert found["error"]["code"] == "refused", found
        assert found["msg"].startswith("source: domain web cannot be cloned: ") and why in found["msg"]
    assert why is None or not any(Path(folders.vms).iterdir())


def test_one_task_at_a_time(clone: Any, web: Path, folders: Folders) -> None:
    for name in ("web", "new"):
        with vm_lock(folders.lock(name), name, 0):
            assert clone(timeout=0)["error"]["code"] == "busy"
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with vm_lock(folders.lock("web"), "web", 0):
            held.set()
            free.wait(300)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(300)
    threading.Timer(0.3, free.set).start()
    assert clone(timeout=300)["changed"]
    other.join()
