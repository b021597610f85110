# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as a user runs it, against libvirt's own test driver, with real qemu-img and xorriso."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import libvirt
import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.host.lock import vm_lock
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import Folders
from support.images import cached
from support.modules import run_module

URI = "test:///default"
MIB = 2**20


@pytest.fixture
def image(folders: Folders) -> str:
    return cached(Path(folders.images))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], driver: Any, folders: Folders) -> Any:
    def run_domain(*, check: bool = False, name: str = "web", **options: Any) -> dict[str, Any]:
        return run_module(capsys, "domain", check=check, uri=URI, name=name, **options)

    return run_domain


def test_missing_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert "missing required arguments: name" in run_module(capsys, "domain")["msg"]


def test_life_of_a_domain(run: Any, image: str, folders: Folders, driver: Any) -> None:
    options = {
        "memory": "64MiB",
        "disks": [{"name": "root", "image": image, "size": "1GiB"}],
        "nics": [{"network": "default"}],
        "cloud_init": {"user_data": {"packages": []}},
        "autostart": True,
    }
    planned = run(check=True, **options)
    assert planned["changed"] and planned["domain"]["state"] == "running"
    assert list(Path(folders.vms).iterdir()) == []

    created = run(**options)
    assert created["actions"] == planned["actions"]
    assert created["diff"] == planned["diff"]
    assert created["diff"]["before"] == {"state": "absent"}
    disk = created["domain"]["disks"][0]
    assert (disk["size"], disk["backing"], disk["image"]) == (2**30, folders.image(image), image)
    assert created["domain"]["managed"] is True
    assert run(**options)["changed"] is False
    assert run()["changed"] is False

    changed = run(memory="128MiB")
    assert changed["diff"]["after"] == {"memory": 128 * MIB, "max_memory": 128 * MIB, "pending_restart": ["memory", "max_memory"]}
    assert run(memory="128MiB")["changed"] is False
    assert run(allow_restart=True)["actions"] == ["Shut down domain web", "Start domain web"]
    assert run(state="stopped")["domain"]["state"] == "stopped"
    grown = run(state="stopped", disks=[{"name": "root", "size": "2GiB"}], autostart=False)
    assert grown["domain"]["disks"][0]["size"] == 2 * 2**30
    assert grown["domain"]["autostart"] is False

    assert run(state="absent")["actions"] == ["Undefine domain web"]
    assert Path(folders.vm("web"), "root.qcow2").exists()
    assert run(state="absent")["changed"] is False
    assert run(state="absent", delete_disks=True)["diff"]["after"] == {}
    assert not Path(folders.vm("web")).exists()


@pytest.mark.parametrize(
    ("option", "content", "file"),
    [("cloud_init", {"hostname": "www"}, "seed.iso"), ("context", {"EXTRA": "x"}, "context.iso")],
)
def test_a_lost_seed_is_named_before_the_start_and_made_again_when_asked(
    run: Any, folders: Folders, option: str, content: dict[str, str], file: str
) -> None:
    run(state="stopped", disks=[], **{option: content})
    path = Path(folders.vm("web"), file)
    path.unlink()
    assert run(state="stopped")["changed"] is False
    for check in (True, False):
        failed = run(check=check)
        assert failed["error"] == {"code": "not_found", "option": option, "value": str(path)}
        assert f"give {option} as before" in failed["msg"]
    assert run(**{option: content})["domain"]["state"] == "running"
    assert path.exists()


def test_a_kept_disk_is_used_again(run: Any, image: str, folders: Folders) -> None:
    options = {"state": "stopped", "disks": [{"name": "root", "image": image}]}
    run(**options)
    path = Path(folders.vm("web"), "root.qcow2")
    subprocess.run(["qemu-io", "-c", "write -P 7 0 64k", str(path)], check=True, capture_output=True)
    before = path.read_bytes()
    run(state="absent")
    assert run(**options)["actions"] == ["Define domain web"]
    assert path.read_bytes() == before


def test_a_lost_disk_is_not_replaced_by_an_empty_one(run: Any, image: str, folders: Folders) -> None:
    options = {"state": "stopped", "disks": [{"name": "root", "image": image}]}
    run(**options)
    Path(folders.vm("web"), "root.qcow2").unlink()
    failed = run(**options)
    assert failed["error"]["code"] == "not_found"
    assert "is gone; a disk is never recreated" in failed["msg"]


def test_an_interrupted_run_goes_on(run: Any, image: str, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"disks": [{"name": "root", "image": image}], "nics": [{"network": "default"}]}
    with monkeypatch.context() as patch:
        patch.setattr(libvirt.virConnect, "defineXML", lambda *_any: (_any for _any in ()).throw(libvirt.libvirtError("no")))
        failed = run(**options)
    assert failed["failed"] and failed["error"]["left"] == ["Start domain web"]
    assert failed["error"]["failed_action"] == "Define domain web"
    assert run(**options)["actions"] == ["Define domain web", "Start domain web"]


def test_the_seed_is_rebuilt_only_for_other_content(run: Any, image: str) -> None:
    options: dict[str, Any] = {"state": "stopped", "disks": [{"name": "root", "image": image}]}
    first = run(**options, cloud_init={"hostname": "a"})
    assert run(**options, cloud_init={"hostname": "a"})["changed"] is False
    assert run(**options)["changed"] is False
    other = run(**options, cloud_init={"hostname": "b"})
    assert other["actions"][0].startswith("Build the cloud-init seed")
    assert other["diff"]["before"]["cloud_init"] == first["domain"]["cloud_init"]


def test_a_foreign_domain_is_not_touched_without_adopt(run: Any, driver: Any) -> None:
    before = driver.lookupByName("test").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    for options in ({"memory": "64MiB"}, {"state": "absent"}, {"state": "stopped"}):
        failed = run(name="test", **options)
        assert failed["error"] == {"code": "conflict", "option": "name", "value": "test"}
    assert driver.lookupByName("test").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) == before


def test_an_adopted_domain_is_ours(run: Any, driver: Any) -> None:
    driver.defineXML(
        "<domain type='test'><name>old</name><memory unit='MiB'>64</memory><vcpu>1</vcpu><os><type arch='i686'>hvm</type></os>"
        "<devices><interface type='network'><mac address='52:54:00:AA:00:01'/><source network='default'/><model type='virtio'/>"
        "</interface></devices></domain>"
    )
    bare = run(name="old", state="stopped", adopt=True, check=True)
    assert (bare["actions"], bare["diff"]) == (["Take over domain old"], {"before": {"managed": False}, "after": {"managed": True}})
    planned = run(name="old", state="stopped", adopt=True, vcpus=2, check=True)
    adopted = run(name="old", state="stopped", adopt=True, vcpus=2)
    assert planned["actions"] == adopted["actions"] == ["Take over domain old: vcpus, max_vcpus"]
    assert planned["diff"] == adopted["diff"]
    assert adopted["domain"]["nics"][0]["mac"] == "52:54:00:aa:00:01"
    assert (adopted["domain"]["vcpus"], adopted["domain"]["memory"]) == (2, 64 * MIB)
    assert run(name="old", state="stopped", vcpus=2)["changed"] is False
    down = run(name="old", state="stopped", nics=[{"link": False}])
    assert down["actions"] == ["Redefine domain old: nics.nic0 (taken over), nics.nic0.link"]
    assert run(name="old", state="stopped", nics=[{"link": False}])["changed"] is False
    assert run(name="old", state="absent")["changed"] is True


def test_bad_input_is_found_before_any_change(run: Any, folders: Folders) -> None:
    failed = run(disks=[{"name": "root", "image": "sha256:" + "0" * 64}])
    assert failed["error"]["code"] == "not_found"
    assert "replica_image" in failed["msg"]
    assert list(Path(folders.vms).iterdir()) == []


def test_what_yaml_has_misread_is_found_before_any_change(run: Any, folders: Folders) -> None:
    failed = run(nics=[{"network": "default", "mac": 41135085296}])
    assert failed["error"] == {"code": "invalid_input", "option": "nics[0].mac"}
    assert 'quotes: "52:54:00:12:34:56".' in failed["msg"]
    for options, option in (
        ({"kernel": "/boot/\0"}, "kernel"),
        ({"title": "\0"}, "title"),
        ({"disks": [{"name": "a", "path": "/a\0"}]}, "disks[0].path"),
        ({"disks": [{"name": "root", "image": "", "size": "1GiB"}]}, "disks[0].image"),
        ({"disks": [{"name": "root", "path": "", "size": "1GiB"}]}, "disks[0].path"),
        ({"cloud_init": {"ssh_authorized_keys": ["ssh-ed25519 AAAA a", "\0"]}}, "cloud_init.ssh_authorized_keys[1]"),
    ):
        assert run(**options)["error"] == {"code": "invalid_input", "option": option}
    failed = run(cloud_init={"user_data": "#cloud-config\na: [1\n"})
    assert failed["error"] == {"code": "invalid_input", "option": "cloud_init.user_data"}
    failed = run(context={"EXTRA": {"A": 1}})
    assert failed["error"] == {"code": "invalid_input", "option": "context.EXTRA"}
    assert list(Path(folders.vms).iterdir()) == []


def test_a_libvirt_that_does_not_answer_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    failed = run_module(capsys, "domain", name="web", uri="test:///no/such/file.xml")
    assert failed["msg"].startswith("Could not connect to libvirt at test:///no/such/file.xml")


def test_info_reads_ours_and_others(run: Any, image: str, folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
    run(disks=[{"name": "root", "image": image}], memory="64MiB", nics=[{"network": "default"}])
    found = run_module(capsys, "domain_info", uri=URI)
    assert [(one["name"], one["state"], one["managed"]) for one in found["domains"]] == [
        ("test", "running", False),
        ("web", "running", True),
    ]
    web = found["domains"][1]
    assert web["memory"] == 64 * MIB
    assert web["disks"][0]["image"] == image
    assert [(overlay["path"], overlay["size"]) for overlay in web["disks"][0]["chain"]] == [
        (web["disks"][0]["path"], 64 * MIB),
        (folders.image(image), 64 * MIB),
    ]
    only = run_module(capsys, "domain_info", uri=URI, name="web")
    assert [one["name"] for one in only["domains"]] == ["web"]
    assert run_module(capsys, "domain_info", uri=URI, name="none")["domains"] == []


def test_a_guest_that_does_not_listen_is_powered_off_by_option_only(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run(disks=[{"name": "root", "size": "1MiB"}])
    monkeypatch.setattr(libvirt.virDomain, "shutdown", lambda _domain: 0)  # a guest without ACPI
    failed = run(state="stopped", timeout=0)
    assert failed["error"]["code"] == "timed_out"
    assert failed["error"]["domain"] == {"name": "web", "state": "running"}
    assert "force_stop" in failed["msg"]
    assert run(state="stopped", timeout=0, force_stop=True)["domain"]["state"] == "stopped"


def test_a_paused_guest_resumes_and_a_paused_one_can_be_stopped(run: Any, driver: Any) -> None:
    run(memory="64MiB")
    driver.lookupByName("web").suspend()
    assert run(check=True)["actions"] == ["Resume domain web"]
    assert run()["domain"]["state"] == "running"
    driver.lookupByName("web").suspend()
    assert run(state="stopped")["domain"]["state"] == "stopped"


def test_addresses_are_waited_for_and_found_by_nic(run: Any) -> None:
    """The test driver leases an address to each interface of a running domain."""
    found = run(memory="64MiB", nics=[{"network": "default"}], wait_for_address=True)["domain"]
    assert found["address"] == found["addresses"][0]["address"]
    assert found["addresses"][0]["mac"] == found["nics"][0]["mac"]


def test_an_address_that_never_comes_is_a_time_limit_with_the_state_reached(run: Any) -> None:
    failed = run(memory="64MiB", nics=[], wait_for_address=True, timeout=0)
    assert failed["error"]["code"] == "timed_out"
    assert failed["error"]["domain"] == {"name": "web", "state": "running", "addresses": []}
    assert "console log" in failed["msg"]


def test_a_guest_that_stops_is_not_waited_for(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = libvirt.virDomain.interfaceAddresses

    def stops(domain: Any, *rest: Any) -> Any:
        found = asked(domain, *rest)
        domain.destroy()
        return found

    monkeypatch.setattr(libvirt.virDomain, "interfaceAddresses", stops)
    failed = run(memory="64MiB", nics=[{"network": "default"}], wait_for_address=True, timeout=3600)
    assert failed["msg"].startswith("wait_for_address: domain web stopped before it had an address; its console log is ")
    assert failed["error"]["domain"]["state"] == "stopped"


def test_a_running_guest_sees_its_disk_grow_by_libvirt(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run(disks=[{"name": "root", "size": "1MiB"}])
    asked: list[Any] = []
    monkeypatch.setattr(libvirt.virDomain, "blockResize", lambda _domain, *rest: asked.append(rest), raising=True)
    run(disks=[{"name": "root", "size": "2MiB"}])
    assert asked == [("vda", 2 * MIB, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)]


def add_overlay(driver: Any, folders: Folders, name: str) -> Path:
    """Put an overlay over the root disk of a stopped domain, as a snapshot does."""
    own = Path(folders.vm(name), "root.qcow2")
    overlay = own.with_name("root.before.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", own, "-F", "qcow2", overlay], check=True)
    xml = driver.lookupByName(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    driver.defineXML(xml.replace(f"file='{own}'", f"file='{overlay}'"))  # the mark keeps the own file
    return overlay


def test_a_overlay_stays_active_and_grows_and_goes_with_the_disks(run: Any, image: str, folders: Folders, driver: Any) -> None:
    options = {"state": "stopped", "disks": [{"name": "root", "image": image, "size": "1GiB"}]}
    run(**options)
    run(name="other", **options)
    overlay = add_overlay(driver, folders, "web")
    Path(folders.vm("web"), "notes.txt").touch()

    assert run(**options)["changed"] is False
    assert run(state="stopped")["changed"] is False
    assert run(state="stopped", memory="64MiB")["domain"]["disks"][0]["path"] == str(overlay)
    bigger = {"state": "stopped", "disks": [{"name": "root", "image": image, "size": "2GiB"}]}
    assert run(**bigger)["actions"] == [f"Grow {overlay} to 2GiB", "Redefine domain web"]
    assert run(**bigger)["changed"] is False
    assert str(overlay) in driver.lookupByName("web").XMLDesc()

    run(state="absent")
    assert run(**bigger)["domain"]["disks"][0]["path"] == str(overlay)
    run(state="absent", delete_disks=True)
    assert [path.name for path in Path(folders.vm("web")).iterdir()] == ["notes.txt"]
    assert [path.name for path in Path(folders.vm("other")).iterdir()] == ["root.qcow2"]


def test_a_lost_overlay_never_brings_the_disk_below_it_back(run: Any, image: str, folders: Folders, driver: Any) -> None:
    options = {"state": "stopped", "disks": [{"name": "root", "image": image}]}
    run(**options)
    add_overlay(driver, folders, "web").unlink()
    failed = run(**options)
    assert failed["error"]["code"] == "not_found" and "root.before.qcow2 was made for this domain" in failed["msg"]


def test_a_disk_goes_from_one_domain_to_another(run: Any, folders: Folders) -> None:
    """It is never a disk of two, and stays when the domain that it was made for goes with its disks."""
    kept = {"name": "root", "size": "1MiB"}
    moved = {"name": "data", "path": f"{folders.vms}/one/data.qcow2"}
    run(name="one", state="stopped", memory="64MiB", disks=[kept, {"name": "data", "size": "1MiB"}])
    other: dict[str, Any] = {"name": "two", "state": "stopped", "memory": "64MiB", "disks": [kept, moved]}
    for check in (True, False):
        refused = run(check=check, **other)
        assert refused["error"]["code"] == "conflict" and refused["msg"].startswith("disks[1].path: ")
        assert "domain one" in refused["msg"] and "domain two" in refused["msg"] and refused["error"]["used_by"] == "one"
    assert run(name="one", state="stopped", disks=[kept])["changed"]
    assert run(**other)["changed"]
    back = run(name="one", state="stopped", disks=[kept, {"name": "data", "size": "1MiB"}])
    assert back["error"]["code"] == "conflict" and back["error"]["used_by"] == "two"
    assert run(**other)["changed"] is False

    gone = run(name="one", state="absent", delete_disks=True)
    assert gone["actions"] == ["Undefine domain one", f"Delete {folders.vms}/one/root.qcow2"]
    assert Path(moved["path"]).exists() and run(name="one", state="absent", delete_disks=True)["changed"] is False
    run(name="two", state="absent", delete_disks=True)
    assert Path(moved["path"]).exists(), "it was given, not made, for this domain"
    assert run(name="one", state="absent", delete_disks=True)["actions"] == [f"Delete {moved['path']}"]


def test_what_is_below_a_disk_of_another_domain_is_not_written(run: Any, folders: Folders) -> None:
    run(name="one", state="stopped", memory="64MiB", disks=[{"name": "root", "size": "1MiB"}])
    base, top = f"{folders.vms}/one/root.qcow2", f"{folders.vms}/one/root.x.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, top], check=True)
    connection = libvirt.open(URI)
    found = connection.lookupByName("one")
    connection.defineXML(found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).replace(f"{base}'", f"{top}'"))
    two: dict[str, Any] = {"name": "two", "state": "stopped", "memory": "64MiB"}
    for path in (base, top):
        refused = run(disks=[{"name": "data", "path": path}], **two)
        assert refused["error"]["code"] == "conflict" and "domain one" in refused["msg"]
    refused = run(disks=[{"name": "data", "path": top, "read_only": True}], **two)
    assert refused["error"]["code"] == "conflict", "its owner writes it"
    assert run(disks=[{"name": "data", "path": base, "read_only": True}], **two)["changed"]
    connection.close()


def test_no_disk_is_deleted_while_another_task_works_on_the_vm(run: Any, folders: Folders) -> None:
    run(state="stopped", memory="64MiB", disks=[{"name": "root", "size": "1MiB"}])
    with vm_lock(folders.lock("web"), "web", 0):
        busy = run(state="absent", delete_disks=True, timeout=0)
    assert busy["error"]["code"] == "busy" and Path(folders.vm("web"), "root.qcow2").exists()
    assert run(state="absent", delete_disks=True, timeout=0)["changed"]


def test_one_file_is_one_disk_by_whatever_name(run: Any, tmp_path: Path, folders: Folders) -> None:
    data, link, hard = (tmp_path / name for name in ("data.qcow2", "link.qcow2", "hard.qcow2"))
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", data, "8M"], check=True)
    link.symlink_to(data)
    hard.hardlink_to(data)
    for other in (data, link, hard):
        refused = run(state="stopped", disks=[{"name": "a", "path": str(data)}, {"name": "b", "path": str(other)}])
        assert refused["msg"].startswith(f"disks[1].path: {other} is the file of disk a ({data}), too"), refused
    assert not Path(folders.vm("web")).exists()
    mine = {"name": "mine", "state": "stopped", "memory": "64MiB", "disks": [{"name": "a", "path": str(link)}]}
    assert run(**mine)["changed"] and run(**mine)["changed"] is False
    for other in (data, link, hard):
        refused = run(state="stopped", disks=[{"name": "a", "path": str(other)}])
        assert refused["msg"].startswith(f"disks[0].path: {other} is used by disk vda of domain mine"), refused
    read = [{"name": name, "path": str(tmp_path / "iso"), "device": "cdrom"} for name in ("cd", "dvd")]
    (tmp_path / "iso").write_bytes(b"\0" * 2048)
    assert run(state="stopped", memory="64MiB", disks=read)["changed"]


@pytest.mark.parametrize("size", ["1", "1000", "10000001", str(8 * MIB + 511)])
def test_an_odd_size_is_whole_sectors_and_stays(run: Any, size: str) -> None:
    options = {"state": "stopped", "memory": str(64 * MIB + 1), "disks": [{"name": "root", "size": size}]}
    made = run(**options)
    assert made["domain"]["disks"][0]["size"] == -(-int(size) // 512) * 512
    assert run(**options)["changed"] is False
    assert run(**{**options, "disks": [{"name": "root", "size": str(int(size) + 512)}]})["changed"]


def test_a_path_that_is_no_file_is_named(run: Any, tmp_path: Path, folders: Folders) -> None:
    for path in (str(tmp_path), "/dev/null"):
        assert run(disks=[{"name": "a", "path": path}])["msg"].startswith(f"disks[0].path: {path} is not a file or block device")
    assert run(kernel=str(tmp_path))["msg"].startswith(f"kernel: {tmp_path} is not a file")
    assert not Path(folders.vm("web")).exists()


def test_restarted_stops_and_starts_and_takes_the_changes_with_it(run: Any, driver: Any) -> None:
    options = {"memory": "64MiB", "vcpus": 1}
    assert run(**options, state="restarted")["actions"] == ["Define domain web", "Start domain web"]
    planned = run(memory="128MiB", state="restarted", check=True)
    assert planned["actions"] == ["Redefine domain web: memory, max_memory", "Shut down domain web", "Start domain web"]
    done = run(memory="128MiB", state="restarted")
    assert done["actions"] == planned["actions"] and done["domain"]["pending_restart"] == []
    assert run(state="restarted")["actions"] == ["Shut down domain web", "Start domain web"]
    run(state="paused")
    assert run(state="restarted")["domain"]["state"] == "running"


def test_reset_is_of_a_guest_that_runs(run: Any) -> None:
    for state in ("absent", "stopped"):
        run(memory="64MiB", state=state)
        refused = run(state="reset")
        assert refused["error"]["code"] == "refused" and refused["msg"].startswith(f"state: domain web is {state}, and only"), (
            refused
        )
    run(state="running")
    assert run(state="reset", check=True)["actions"] == ["Reset domain web"]
    run(state="paused")
    assert run(state="reset", check=True)["actions"] == ["Resume domain web", "Reset domain web"]
