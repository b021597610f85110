# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains that others made: taking them over changes nothing, and each option asked alone changes that and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, parse, parse_xml, to_text
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from support.adoption import adopt, differences
from support.compute import record
from support.foreign_domains import DISKS, FOREIGN, INTERFACES, whole


@pytest.mark.parametrize("name", FOREIGN)
def test_taking_over_changes_nothing(name: str) -> None:
    before = parse_xml(FOREIGN[name])
    once = adopt(before)
    assert differences(before, once) == []
    assert parse(once).marked
    assert differences(once, adopt(once)) == []
    assert parse(adopt(once)).record == parse(once).record


def test_every_kind_of_device_is_among_them() -> None:
    assert len(FOREIGN) >= 50


NEW_DISK = {"name": "data", "size": "1GiB"}
OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "memory": ({"memory": "2GiB"}, r"(memory|currentMemory)"),
    "less-memory": ({"memory": "512MiB"}, r"currentMemory"),
    "max-memory": ({"max_memory": "4GiB"}, r"memory"),
    "fewer-vcpus": ({"vcpus": 1}, r"vcpu@current"),
    "vcpus": ({"vcpus": 4}, r"vcpu"),
    "cpu": ({"cpu": {"mode": "maximum"}}, r"cpu(/|@|: )(?!numa)"),
    "numa": ({"numa": [{"cpus": "0-1", "memory": "1GiB"}]}, r"cpu(: new|/numa)"),
    "hugepages": ({"hugepages": "2MiB"}, r"memoryBacking(: new|/hugepages)"),
    "no-hugepages": ({"hugepages": ""}, r"memoryBacking(: gone|/hugepages)"),
    "pinning": ({"vcpu_pinning": ["0"]}, r"cputune(: new|/vcpupin)"),
    "emulator": ({"emulator_pinning": "0"}, r"cputune(: new|/emulatorpin)"),
    "iothreads": ({"iothreads": 8}, r"iothreads"),
    "kernel": ({"kernel": "/srv/other"}, r"os/kernel"),
    "cmdline": ({"cmdline": "quiet"}, r"os/cmdline"),
    "no-cmdline": ({"cmdline": ""}, r"os/cmdline"),
    "vnc": ({"vnc": True}, r"devices/(graphics(\[2\])?|video): new"),
    "vnc-listen": (
        {"vnc": True, "vnc_listen": "192.0.2.7"},
        r"devices/(graphics(\[2\])?|video)(: new|@listen|@socket: '/run/v.sock' became None|/listen: gone)",
    ),
    "vnc-password": ({"vnc": True, "vnc_password": "s3cret"}, r"devices/(graphics(\[2\])?|video)(: new|@passwd)"),
    "no-vnc": ({"vnc": False}, r"devices/graphics: gone"),
    "spice": ({"spice": "loopback"}, r"devices/(graphics(\[2\])?|video)(: new|@listen|/listen)"),
    "no-spice": ({"spice": "none"}, r"devices/(graphics|audio): gone"),
    "tpm": ({"tpm": True}, r"devices/tpm: new"),
    "no-tpm": ({"tpm": False}, r"devices/tpm: gone"),
    "rng": ({"rng": True}, r"devices/rng: new"),
    "no-rng": ({"rng": False}, r"devices/rng: gone"),
    "agent": ({"guest_agent": True}, r"devices/channel: new"),
    "no-agent": ({"guest_agent": False}, r"devices/channel"),
    "watchdog": ({"watchdog": "pause"}, r"devices/watchdog(: new|@action|\[2\]: new)"),
    "console": ({"virtio_console": True}, r"devices/console(\[2\])?: new"),
    "log": ({"console_log": True}, r"devices/(serial(: new|/log)|console: gone)"),
    "no-log": ({"console_log": False}, r"devices/(serial/log|console: gone)"),
    "folder": (
        {"filesystems": [{"tag": "new", "path": "/srv"}]},
        r"(memoryBacking(: new|/source|/access)|devices/filesystem(\[2\])?: new)",
    ),
    "function": ({"pci_devices": ["0000:65:00.0"]}, r"devices/hostdev(\[4\])?: new"),
    "disk": ({"disks": [NEW_DISK]}, r"devices/disk(\[\d\])?: new"),
    "scsi-disk": ({"disks": [{**NEW_DISK, "bus": "scsi"}]}, r"devices/(disk(\[\d\])?|controller(\[2\])?): new"),
    "cloud-init": ({"cloud_init": {}}, r"devices/disk(\[\d\])?: new"),
    "video": ({"video": "virtio", "vnc": True}, r"devices/(graphics(\[2\])?|video)(: new|/model)"),
    "tablet": ({"tablet": True, "usb": True}, r"devices/(input(\[\d\])?|controller(\[2\])?): new"),
    "nic": ({"nics": [{"name": "more", "network": "edge"}]}, r"devices/interface(\[\d\])?: new"),
    "override": (
        {"xml_override": "<domain><on_lockfailure>pause</on_lockfailure></domain>"},
        r"(on_lockfailure|metadata/|metadata: new)",
    ),
}


DOES_NOT_FIT = {
    "memory": ("memory-slots", "numa"),
    "max-memory": ("memory-slots", "numa"),
    "vcpus": ("memory-slots", "numa", "cpu-features"),
    "cmdline": tuple(sorted({*FOREIGN} - {"kernel"})),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_asked_alone_changes_that_and_nothing_else(option: str) -> None:
    asked, allowed = OPTIONS[option]
    changed: dict[str, list[str]] = {}
    for name in sorted({*FOREIGN} - {*DOES_NOT_FIT.get(option, ())}):
        before = parse_xml(FOREIGN[name])
        once = adopt(before, asked)
        changed[name] = differences(before, once)
        assert [line for line in changed[name] if not re.match(allowed, line)] == [], name
        assert differences(once, adopt(once, asked)) == [], name
        assert differences(once, adopt(once)) == [], name
    assert any(changed.values())


@pytest.mark.parametrize("option", DOES_NOT_FIT)
def test_an_option_that_a_domain_cannot_have_is_refused(option: str) -> None:
    for name in DOES_NOT_FIT[option]:
        with pytest.raises(InvalidInput, match=r"^(numa|cpu\.sockets|cmdline): "):
            adopt(parse_xml(FOREIGN[name]), OPTIONS[option][0])


CLAIMS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "cache": ("disk-chain", {"disks": [{"name": "vda", "cache": "none"}]}, ["devices/disk/driver@cache", "devices/disk/driver@io"]),
    "by path": (
        "disk-file-options",
        {"disks": [{"name": "root", "path": "/srv/a.img", "discard": "ignore"}]},
        ["devices/disk/driver@discard"],
    ),
    "named": ("disk-ceph", {"disks": [{"name": "vda"}]}, []),
    "limits": ("disk-nvme", {"disks": [{"name": "vda", "limits": {"total_iops": 9}}]}, ["devices/disk/iotune"]),
    "another file": (
        "disk-volume",
        {"disks": [{"name": "hda", "path": "/srv/b.qcow2"}]},
        [*(f"devices/disk/source@{name}" for name in ("file", "mode", "pool", "volume")),
         "devices/disk/driver@type", "devices/disk@type"],
    ),
    "boot": ("nic-direct", {"boot_order": ["nic0"]}, ["devices/interface/boot", "os/boot", "os/boot[2]"]),
    "boot instead of others": (
        "hostdevs",
        {"boot_order": ["data"], "disks": [NEW_DISK]},
        ["devices/disk", "devices/hostdev/boot", "os/boot", "os/boot[2]"],
    ),
    "link": ("nic-ovs", {"nics": [{"link": False}]}, ["devices/interface/link"]),
    "network": (
        "nic-user",
        {"nics": [{"network": "edge"}]},
        ["devices/interface/ip", "devices/interface/source", "devices/interface@type"],
    ),
    "bridge": ("nic-ovs", {"nics": [{"bridge": "br-lan"}]}, ["devices/interface/source@bridge"]),
    "same bridge": ("nic-bridge", {"nics": [{"bridge": "br0"}]}, []),
    "by mac": (
        "nic-direct",
        {"nics": [{"name": "lan", "mac": "52:54:00:AB:00:01", "model": "virtio"}]},
        ["devices/interface/model@type"],
    ),
    "alias": ("user-aliases", {"nics": [{"link": False}], "disks": [{"name": "vda", "serial": "x"}], "rng": True},
              ["devices/disk/serial", "devices/interface/link"]),
    "folder": (
        "folder-virtiofs", {"filesystems": [{"tag": "y", "path": "/srv/other"}]}, ["devices/filesystem/source@dir"],
    ),
    "function": ("hostdevs", {"pci_devices": ["0000:06:12.5"]}, []),
}  # fmt: skip


@pytest.mark.parametrize("case", CLAIMS)
def test_a_device_that_an_option_names_becomes_ours_as_it_is(case: str) -> None:
    name, asked, allowed = CLAIMS[case]
    before = parse_xml(FOREIGN[name])
    once = adopt(before, asked)
    assert sorted(line.partition(": ")[0] for line in differences(before, once)) == sorted(allowed)
    assert differences(once, adopt(once, asked)) == []
    assert differences(once, adopt(once)) == []


def test_what_was_taken_over_goes_when_it_is_left_out_and_the_rest_stays() -> None:
    before = parse_xml(whole(devices=DISKS["disk-block"] + DISKS["disk-ceph"] + INTERFACES["nic-teaming"]))
    once = adopt(before, {"disks": [{"name": "vda"}], "nics": [{"name": "nic1", "link": True}]})
    assert [disk.target for disk in parse(once).foreign.disks] == ["sda"]
    assert differences(before, adopt(once, {"disks": [], "nics": []})) == ["devices/disk[2]: gone", "devices/interface[2]: gone"]


@pytest.mark.parametrize("option", [{"size": "2GiB"}, {"image": "sha256:" + "ab" * 32}, {"target": "vdb"}])
def test_a_disk_of_others_is_not_replaced_by_a_new_one(option: dict[str, str]) -> None:
    before = parse_xml(FOREIGN["disk-chain"])
    for root in (before, adopt(before, {"disks": [{"name": "vda"}]})):
        with pytest.raises(InvalidInput, match=rf"^disks\[0\].{next(iter(option))}: .*vda"):
            adopt(root, {"disks": [{"name": "vda", **option}]})


@pytest.mark.parametrize(
    ("asked", "option"),
    [
        ({"boot_order": ["nic0"]}, "boot_order"),
        ({"boot_order": ["nic1"]}, "boot_order"),
        ({"nics": [{"name": "nic0", "link": False}]}, r"nics\[0\]"),
        ({"nics": [{"name": "lan", "mac": "52:54:00:AB:00:01"}]}, r"nics\[0\]"),
    ],
)
def test_two_interfaces_with_one_mac_address_are_not_taken_for_each_other(asked: dict[str, Any], option: str) -> None:
    """The function that is passed through would become a bridge: a failover pair has one MAC address."""
    function = (
        "<interface type='hostdev' managed='yes'><mac address='52:54:00:ab:00:01'/><source><address type='pci' domain='0x0000' "
        "bus='0x03' slot='0x07' function='0x1'/></source><teaming type='transient' persistent='ua-a'/></interface>"
    )
    before = parse_xml(whole(devices=INTERFACES["nic-user"] + function))
    with pytest.raises(InvalidInput, match=f"^{option}: .*nic0, nic1.* one MAC address"):
        adopt(before, asked)
    once = adopt(before, {"nics": [{"name": "more", "network": "edge"}]})
    assert differences(before, once) == ["devices/interface[3]: new"]


def test_a_trunk_of_others_becomes_the_vlan_that_is_asked_or_none() -> None:
    """A trunk gives the guest tagged frames, and a tag that has lost its number is not an XML of libvirt's."""
    before = parse_xml(FOREIGN["nic-ovs"])
    one = adopt(before, {"nics": [{"bridge": "ovsbr", "vlan": 10}]})
    (vlan,) = one.findall("devices/interface/vlan")
    assert (vlan.attrib, [tag.attrib for tag in vlan]) == ({}, [{"id": "10"}])
    assert adopt(before, {"nics": [{"bridge": "ovsbr", "vlan": 0}]}).findall("devices/interface/vlan") == []
    assert differences(before, adopt(before, {"nics": [{"bridge": "ovsbr"}]})) == []


@pytest.mark.parametrize(
    "asked",
    [
        {"disks": [NEW_DISK], "boot_order": ["data", "vda"]},
        {"disks": [], "boot_order": ["vda"]},
        {"disks": [NEW_DISK], "nics": [{"name": "more", "network": "edge"}], "boot_order": ["vda", "data", "nic0"]},
        {"nics": [], "boot_order": ["nic0", "vda"]},
    ],
)
def test_what_the_boot_order_alone_names_is_there_in_the_next_run_too(asked: dict[str, Any]) -> None:
    before = parse_xml(whole(devices=DISKS["disk-ceph"] + INTERFACES["nic-user"]))
    once = adopt(before, asked)
    assert once.find("devices/disk/target[@dev='vda']") is not None
    assert differences(once, adopt(once, asked)) == []
    assert parse(adopt(once, asked)).record == parse(once).record


def test_a_limit_that_goes_takes_the_bursts_of_others_along() -> None:
    """QEMU: bps_max and iops_max require corresponding bps and iops values, and those cannot be greater than max values."""
    tune = (
        "<iotune><total_bytes_sec>1000000</total_bytes_sec><read_iops_sec>9</read_iops_sec><total_bytes_sec_max>2000000"
        "</total_bytes_sec_max><read_iops_sec_max>20</read_iops_sec_max><total_bytes_sec_max_length>5</total_bytes_sec_max_length>"
        "</iotune>"
    )
    disk = DISKS["disk-tuned"]
    before = parse_xml(whole(devices=disk[: disk.index("<iotune>")] + tune + disk[disk.index("<boot") :]))
    once = adopt(before, {"disks": [{"name": "vda", "limits": {"read_iops": 5}}]})
    left = {one.tag: one.text for one in once.iterfind("devices/disk/iotune/*")}
    assert left == {"read_iops_sec": "5", "read_iops_sec_max": "20"}
    higher = adopt(before, {"disks": [{"name": "vda", "limits": {"read_iops": 50}}]})
    assert [one.tag for one in higher.iterfind("devices/disk/iotune/*")] == ["read_iops_sec"]


@pytest.mark.parametrize("order", [["vdx"], ["nic0"], ["nic0", "vdx"]])
@pytest.mark.parametrize("ours", [False, True])
def test_what_the_boot_order_alone_took_over_stays_when_a_later_list_leaves_it_out(order: list[str], ours: bool) -> None:
    """Nobody has said that the domain has no such disk: it may be the one that it is booted from."""
    before = parse_xml(to_text(emit(record().spec, record())) if ours else whole(devices=""))
    devices = before.find("devices")
    assert devices is not None
    devices.extend(parse_xml(text.replace("'vda'", "'vdx'")) for text in (DISKS["disk-ceph"], INTERFACES["nic-user"]))
    once = adopt(before, {"boot_order": order})
    disks, nics = ([{"name": one.name} for one in mine] for mine in (parse(before).spec.disks, parse(before).spec.nics))
    asked = {"disks": [*disks, NEW_DISK], "nics": [*nics, {"name": "more", "network": "edge"}]}
    then = adopt(once, asked)
    assert [line for line in differences(once, then) if line.endswith("gone")] == []
    spec = parse(then).spec
    assert {one.name: one.boot for one in (*spec.disks, *spec.nics) if one.boot} == {name: n for n, name in enumerate(order, 1)}
    other = adopt(then, {**asked, "boot_order": ["data"]})
    for last, options in ((then, asked), (other, {**asked, "boot_order": ["data"]})):
        again = adopt(last, options)
        assert differences(last, again) == []
        assert parse(again).record == parse(last).record


def test_a_disk_of_others_that_was_booted_as_the_first_of_a_list_is_no_choice_of_an_order() -> None:
    before = parse_xml(to_text(emit(record().spec, record())))
    devices = before.find("devices")
    assert devices is not None
    devices.append(parse_xml(DISKS["disk-ceph"].replace("'vda'", "'vdx'")))
    root = {"name": parse(before).spec.disks[0].name}
    once = adopt(before, {"disks": [{"name": "vdx"}, root]})
    then = adopt(once, {"disks": [root, {"name": "vdx"}]})
    assert {disk.name: disk.boot for disk in parse(once).spec.disks} == {root["name"]: None, "vdx": 1}
    assert {disk.name: disk.boot for disk in parse(then).spec.disks} == {root["name"]: 1, "vdx": None}


def test_what_a_list_named_after_the_boot_order_goes_when_a_later_list_leaves_it_out() -> None:
    before = parse_xml(whole(devices=DISKS["disk-ceph"] + INTERFACES["nic-user"]))
    once = adopt(before, {"boot_order": ["vda", "nic0"]})
    named = adopt(once, {"disks": [{"name": "vda"}], "nics": [{"name": "nic0", "link": True}]})
    assert differences(once, named) == []
    gone = adopt(named, {"disks": [], "nics": []})
    assert (gone.findall("devices/disk"), gone.findall("devices/interface")) == ([], [])


@pytest.mark.parametrize(
    ("asked", "option"),
    [
        ({"disks": [{"name": "root", "path": "/srv/a.img"}]}, r"disks\[0\]\.path"),
        ({"disks": [{"name": "root", "size": "1GiB", "target": "vda"}]}, r"disks\[0\]\.target"),
        ({"nics": [{"name": "lan", "mac": "MAC", "network": "edge"}]}, r"nics\[0\]\.mac"),
    ],
)
def test_what_the_boot_order_took_over_is_not_there_twice(asked: dict[str, Any], option: str) -> None:
    once = adopt(parse_xml(whole(devices=DISKS["disk-file-options"] + INTERFACES["nic-user"])), {"boot_order": ["vda", "nic0"]})
    mac = once.find("devices/interface/mac").get("address", "").upper()  # type: ignore[union-attr]
    asked = {key: [{**item, **({"mac": mac} if "mac" in item else {})} for item in items] for key, items in asked.items()}
    with pytest.raises(InvalidInput, match=f"^{option}: .*boot_order took over"):
        adopt(once, asked)


@pytest.mark.parametrize("name", ["vnc-secret", "vnc-everywhere", "vnc-by-qemu-conf"])
def test_a_display_of_others_keeps_its_password_until_another_is_asked(name: str) -> None:
    before = parse_xml(FOREIGN[name])
    had = parse(before).spec.vnc_password
    once = adopt(adopt(before, {"vnc": True, "tpm": True}), {"memory": "2GiB", "vnc_listen": "127.0.0.1", "title": "x"})
    display = once.find("devices/graphics")
    assert had and display is not None and display.get("passwd") == had
    assert display.get("connected") == ("keep" if name == "vnc-secret" else None)
    assert adopt(once, {"vnc_password": ""}).find("devices/graphics[@passwd]") is None
    other = adopt(once, {"vnc_password": "other"}).find("devices/graphics")
    assert other is not None and (other.get("passwd"), other.get("passwdValidTo")) == ("other", None)


@pytest.mark.parametrize(
    ("name", "listen"),
    [
        ("vnc-everywhere", "0.0.0.0"),
        ("vnc-secret", "::1"),
        ("vnc-by-qemu-conf", "host"),
        ("vnc-socket", "socket"),
        ("vnc-network", "network default"),
        ("vnc-nowhere", "none"),
    ],
)
def test_where_a_display_of_others_listens(name: str, listen: str) -> None:
    before = parse_xml(FOREIGN[name])
    assert parse(before).spec.vnc_listen == listen
    if ":" in listen:
        assert differences(before, adopt(before, {"vnc_listen": "0:0:0:0:0:0:0:1"})) == []
