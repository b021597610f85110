# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.host_facts import VolumeFile
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import DomainOptions, read_options
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import (
    NOTHING_FOREIGN,
    Cpu,
    Disk,
    Foreign,
    NetworkSource,
    Nic,
    stable_mac,
    stable_uuid,
)
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.resolve import ResolvedDomain, asked_images, resolve
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from hypothesis import given
from support.compute import DIGEST, GIB, host, root_disk, root_volume, spec, specs


def wanted(
    options: dict[str, Any], before: Any = None, volumes: Any = (), foreign: Foreign = NOTHING_FOREIGN, **facts: Any
) -> ResolvedDomain:
    return resolve(read_options({"name": "web", **options}), before, volumes, host(**facts), foreign)


def test_a_name_alone_makes_what_an_expert_would() -> None:
    assert wanted({}).spec == replace(
        spec(uuid=stable_uuid("web")), console_log="/var/lib/edge/vms/web/console.log", agent=True, rng=True, vnc=False
    )


def test_without_kvm_the_cpu_is_all_that_the_emulator_has() -> None:
    assert wanted({}, virt_types=("qemu",)).spec.cpu == Cpu("maximum")
    assert wanted({"virt_type": "qemu"}).spec.cpu == Cpu("maximum")


@given(specs)
def test_what_is_left_out_keeps_its_value(before: Any) -> None:
    assert resolve(DomainOptions(before.name), before, (), host(), NOTHING_FOREIGN) == ResolvedDomain(before)


@given(specs)
def test_disks_named_alone_keep_their_values(before: Any) -> None:
    before = replace(
        before,
        disks=tuple(replace(disk, boot=None) for disk in before.disks),
        nics=tuple(replace(nic, boot=None) for nic in before.nics),
    )
    disks = [{"name": disk.name} for disk in before.disks]
    volumes = tuple(replace(root_volume(), disk=disk.name, path=disk.path) for disk in before.disks)
    found = resolve(read_options({"name": before.name, "disks": disks}), before, volumes, host(), NOTHING_FOREIGN)
    first = before.disks[0].name if before.disks else None
    assert found.spec.disks == tuple(replace(disk, boot=1 if disk.name == first else None) for disk in before.disks)
    assert found.volumes == volumes


def test_a_disk_from_an_image() -> None:
    found = wanted({"disks": [{"name": "root", "image": DIGEST, "size": "20GiB"}]})
    assert found.spec.disks == (root_disk(),)
    assert found.volumes == (root_volume(),)


def test_a_disk_that_was_made_of_an_image_is_not_preallocated_later() -> None:
    disk = {"name": "root", "size": "20GiB"}
    with pytest.raises(InvalidInput, match=r"disks\[0\]\.preallocation: falloc was asked of a disk of the image"):
        wanted({"disks": [{**disk, "preallocation": "falloc"}]}, spec(disks=(root_disk(),)), (root_volume(),))
    found = wanted({"disks": [{**disk, "preallocation": "off"}]}, spec(disks=(root_disk(),)), (root_volume(),))
    assert (found.spec.disks, found.volumes) == ((root_disk(),), (root_volume(),))


def test_a_file_system_without_direct_io_gets_another_cache() -> None:
    (disk,) = wanted({"disks": [{"name": "root", "size": "1G"}]}, direct_io=False).spec.disks
    assert (disk.cache, disk.io) == ("writeback", "threads")


def test_targets_are_the_first_free_ones_and_stay() -> None:
    asked = [{"name": "root", "size": "1G"}, {"name": "b", "size": "1G", "bus": "scsi"}, {"name": "c", "size": "1G"}]
    first = wanted({"disks": asked}, foreign=Foreign(disks=(root_disk(name="vdb", target="vdb", path="/b"),)))
    assert {disk.name: disk.target for disk in first.spec.disks} == {"root": "vda", "b": "sda", "c": "vdc"}
    fewer = wanted({"disks": [{"name": "c"}, {"name": "new", "size": "1G"}]}, first.spec, first.volumes)
    assert {disk.name: (disk.target, disk.boot) for disk in fewer.spec.disks} == {"c": ("vdc", 1), "new": ("vda", None)}


def test_the_seed_is_a_disk_that_stays() -> None:
    first = wanted({"cloud_init": {}, "disks": [{"name": "root", "size": "1G"}]}).spec
    assert first.disks[-1] == Disk("seed", "/var/lib/edge/vms/web/seed.iso", "raw", "vdz", "virtio", serial="seed", read_only=True)
    assert wanted({"disks": []}, first).spec.disks == first.disks[-1:]


def test_nics_have_stable_addresses_by_name() -> None:
    found = wanted({"nics": [{"network": "edge"}, {"name": "lan", "bridge": "br-lan", "mtu": 1400}]}).spec.nics
    assert found == (Nic("nic0", stable_mac("web", "nic0"), "edge"), Nic("lan", stable_mac("web", "lan"), None, "br-lan", mtu=1400))
    moved = wanted({"nics": [{"name": "lan", "bridge": "br-lan"}]}, spec(nics=found)).spec.nics
    assert moved == (found[1],)


@pytest.mark.parametrize(
    ("asked", "kept"), [("q35", "pc-q35-6.2"), (None, "pc-q35-6.2"), ("pc-q35-7.2", "pc-q35-7.2"), ("pc", "pc-i440fx-7.2")]
)
def test_a_machine_keeps_its_version_until_another_is_named(asked: str | None, kept: str) -> None:
    assert wanted({"machine": asked}, spec(machine="pc-q35-6.2")).spec.machine == kept


def test_the_empty_text_removes() -> None:
    before = spec(kernel="/k", initrd="/i", cmdline="c")
    found = wanted({"kernel": "", "initrd": None}, before).spec
    assert (found.kernel, found.initrd, found.cmdline) == (None, None, None)


SIZED = {"name": "root", "size": "1G"}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": "../x"}, "name: '../x' is not valid"),
    ({"name": ""}, "name: '' is not valid"),
    ({"uuid": "1234"}, "uuid: '1234' is not valid"),
    ({"memory": "1"}, "memory: 1 is 1 bytes, less than 16MiB"),
    ({"memory": "lots"}, "memory: 'lots' is not a size"),
    ({"vcpus": 0}, "vcpus: 0 is not between"),
    ({"cpu": {"mode": "custom"}}, "cpu.model: "),
    ({"cpu": {"mode": "maximum", "model": "Nehalem"}}, "cpu.model: "),
    ({"cpu": {"mode": "host-model"}, "virt_type": "qemu"}, "cpu.mode: host-model needs virt_type kvm"),
    ({"disks": [{"name": "Root", "size": "1G"}]}, "disks[0].name: 'Root' is not valid"),
    ({"disks": [{"name": "seed", "size": "1G"}]}, "disks[0].name: seed is the name of the cloud-init disk"),
    ({"disks": [SIZED, SIZED]}, "disks[1].name: root is already used by disks[0].name"),
    ({"disks": [{**SIZED, "target": "vda"}, {"name": "b", "size": "1G", "target": "vda"}]}, "disks[1].target: vda is already used"),
    ({"disks": [{**SIZED, "target": "xvda"}]}, "disks[0].target: 'xvda' is not valid"),
    ({"disks": [{"name": "root", "path": "a.qcow2"}]}, "disks[0].path: a.qcow2 is not absolute"),
    ({"disks": [{**SIZED, "path": "/a.qcow2"}]}, "disks[0].path: an existing file takes neither"),
    ({"disks": [{"name": "root"}]}, "disks[0]: disk root is new"),
    ({"disks": [{"name": "root", "image": DIGEST, "preallocation": "full"}]}, "disks[0].preallocation: full was asked of a"),
    ({"disks": [{"name": "root", "path": "/a", "preallocation": "off"}]}, "disks[0].preallocation: off was asked of a disk that"),
    ({"disks": [{"name": "r", "source": {"protocol": "rbd", "name": "p/i"}, "preallocation": "full"}]}, "disks[0].preallocation: "),
    ({"disks": [{"name": "r", "device": "cdrom", "preallocation": "falloc"}]}, "disks[0].preallocation: falloc was asked"),
    ({"disks": [{"name": "root", "size": "1X"}]}, "disks[0].size: '1X' is not a size"),
    ({"disks": [{"name": "root", "size": "0"}]}, "disks[0].size: it must be more than 0"),
    ({"disks": [{**SIZED, "io": "native", "cache": "writeback"}]}, "disks[0].io: native needs cache none"),
    ({"max_memory": "64MiB", "memory": "1GiB"}, "max_memory: 64MiB is less than memory (1GiB)"),
    ({"max_vcpus": 1, "vcpus": 2}, "max_vcpus: 1 is less than vcpus (2)"),
    ({"max_vcpus": 4, "cpu": {"mode": "maximum", "cores": 3}}, "cpu.sockets: 1 sockets × 3 cores × 1 threads are 3 CPUs"),
    ({"numa": [{"cpus": "0", "memory": "512MiB"}]}, "numa: its cells have 512MiB of memory, max_memory is 1GiB"),
    ({"numa": [{"cpus": "0-1", "memory": "1GiB"}]}, "numa: its cells must have each CPU from 0 to 0 once"),
    ({"numa": [{"cpus": "x", "memory": "1GiB"}]}, "numa[0].cpus: 'x' is not valid"),
    ({"hugepages": "2GiB"}, "hugepages: 1GiB of memory is not whole pages of 2GiB"),
    ({"vcpu_pinning": ["0", "1"]}, "vcpu_pinning: it has 2 entries, max_vcpus is 1"),
    ({"vcpu_pinning": ["3-1"]}, "vcpu_pinning[0]: the range 3-1 runs backwards"),
    ({"iothreads": 65}, "iothreads: 65 is not between"),
    ({"secure_boot": True}, "secure_boot: it needs firmware uefi and machine q35"),
    ({"filesystems": [{"tag": "a", "path": "b"}]}, "filesystems[0].path: b is not absolute"),
    ({"pci_devices": ["65:00.0"]}, "pci_devices[0]: '65:00.0' is not valid"),
    ({"xml_override": "<devices/>"}, "xml_override: its outermost element must be <domain>"),
    ({"boot_order": ["root"]}, "boot_order[0]: the domain has neither a disk nor an interface root"),
    ({"disks": [{"name": "context", "size": "1G"}]}, "disks[0].name: context is the name of the context disk"),
    ({"disks": [{**SIZED, "iothread": 1}]}, "disks[0].iothread: 1 is more than iothreads (0)"),
    ({"disks": [{**SIZED, "bus": "scsi", "queues": 2}]}, "disks[0].queues: it needs bus virtio, not scsi"),
    ({"disks": [{**SIZED, "limits": {"total_iops": 1, "read_iops": 1}}]}, "disks[0].limits.total_iops: it goes without read_iops"),
    ({"disks": [{**SIZED, "source": {"protocol": "rbd", "name": "p/i"}}]}, "disks[0].source: it takes no size"),
    ({"disks": [{"name": "r", "source": {"protocol": "nbd"}}]}, "disks[0].source.hosts: nbd needs one HOST:PORT, found 0"),
    *(
        ({"disks": [{"name": "r", "source": {"protocol": "nbd", "hosts": [text]}}]}, f"disks[0].source.hosts[0]: {text!r} is not")
        for text in (
            "2001:db8::1:10809", "[2001:db8::1]", "[2001:db8:::1]:1", "[]:1", "[fe80::1%1]:1", "a:0", "a:65536", "a:", ":1",
        )
    ),
    ({"disks": [{"name": "r", "source": {"protocol": "rbd"}}]}, "disks[0].source.name: '' is not valid"),
    ({"disks": [{"name": "r", "source": {"protocol": "rbd", "name": "p/i", "user": "u"}}]}, "disks[0].source.secret: user"),
    ({"nics": [{"network": "a", "inbound": "9"}]}, "nics[0].inbound: 9 is less than 1KiB a second"),
    ({"nics": [{"hostdev": "x"}]}, "nics[0].hostdev: 'x' is not valid"),
    ({"nics": [{}]}, "nics[0]: give one of network, bridge, hostdev and virtual_network"),
    ({"nics": [{"network": "a", "bridge": "b"}]}, "nics[0]: give one of network, bridge, hostdev and virtual_network"),
    ({"nics": [{"network": "a", "mac": "52:54:00:00:00"}]}, "nics[0].mac: '52:54:00:00:00' is not valid"),
    ({"nics": [{"network": "a", "mac": "53:54:00:00:00:01"}]}, "nics[0].mac: '53:54:00:00:00:01' is not valid"),
    ({"nics": [{"network": "a", "mac": "52:54:00:00:00:01"}, {"network": "a", "mac": "52:54:00:00:00:01"}]}, "nics[1].mac: "),
    ({"nics": [{"network": "a", "mtu": 9}]}, "nics[0].mtu: 9 is not between"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "says"), BAD)
def test_bad_values_are_named_by_their_path(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput) as found:
        wanted(options)
    assert found.value.message.startswith(says)
    assert says.startswith(found.value.details["option"])


def test_a_target_of_others_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^disks\[0\]\.target: vdb is used by a disk that is not ours"):
        wanted({"disks": [{**SIZED, "target": "vdb"}]}, foreign=Foreign(disks=(root_disk(name="vdb", target="vdb", path="/b"),)))


def test_a_uuid_never_changes() -> None:
    with pytest.raises(InvalidInput, match="a UUID never changes"):
        wanted({"uuid": stable_uuid("other")}, spec())


def test_a_digest_is_checked_before_it_becomes_a_path() -> None:
    with pytest.raises(InvalidInput, match=r"^disks\[0\]\.image: "):
        asked_images(read_options({"name": "web", "disks": [{"name": "root", "image": "sha256:../../etc/passwd"}]}))


def test_memory_is_whole_mebibytes() -> None:
    assert wanted({"memory": str(GIB + 1)}).spec.memory == GIB + 2**20


def test_ceilings_stay_and_rise_with_what_they_hold() -> None:
    before = spec(memory=GIB, max_memory=4 * GIB, vcpus=2, max_vcpus=4)
    sizes = ("memory", "max_memory", "vcpus", "max_vcpus")
    for options, found in (
        ({}, (GIB, 4 * GIB, 2, 4)),
        ({"memory": "2GiB", "vcpus": 1}, (2 * GIB, 4 * GIB, 1, 4)),
        ({"memory": "8GiB", "vcpus": 6}, (8 * GIB, 8 * GIB, 6, 6)),
        ({"max_memory": "1GiB", "max_vcpus": 2}, (GIB, GIB, 2, 2)),
    ):
        after = wanted(options, before).spec
        assert tuple(getattr(after, field) for field in sizes) == found


def test_boot_order_is_chosen_once_and_stays() -> None:
    disks = [{"name": "root", "size": "1G"}, {"name": "cd", "device": "cdrom"}]
    first = wanted({"disks": disks, "nics": [{"network": "edge"}], "boot_order": ["nic0", "root"]})
    assert [(one.name, one.boot) for one in (*first.spec.disks, *first.spec.nics)] == [("cd", None), ("root", 2), ("nic0", 1)]
    later = wanted({"disks": [{"name": "cd"}, {"name": "root"}]}, first.spec, first.volumes).spec
    assert [(one.name, one.boot) for one in (*later.disks, *later.nics)] == [("cd", None), ("root", 2), ("nic0", 1)]
    plain = wanted({"disks": disks}, volumes=first.volumes).spec
    assert {disk.name: disk.boot for disk in plain.disks} == {"root": 1, "cd": None}


def test_a_drive_is_empty_until_something_is_put_in_and_again_when_it_is_taken_out() -> None:
    iso = {"/a.iso": VolumeFile("/a.iso", "raw", GIB)}
    empty = wanted({"disks": [{"name": "cd", "device": "cdrom"}]}).spec
    (drive,) = empty.disks
    assert (drive.path, drive.bus, drive.target, drive.read_only, drive.discard) == ("", "sata", "sda", True, None)
    full = wanted({"disks": [{"name": "cd", "path": "/a.iso"}]}, empty, files=iso).spec
    assert full.disks == (replace(drive, path="/a.iso"),)
    assert wanted({"disks": [{"name": "cd"}]}, full).spec == full
    assert wanted({"disks": [{"name": "cd", "path": ""}]}, full).spec == empty


@pytest.mark.parametrize("text", ["[2001:db8::7]:6789", "[::ffff:192.0.2.7]:1", "192.0.2.7:65535", "store.example:1"])
def test_a_source_has_names_and_addresses_of_both_families(text: str) -> None:
    source = {"protocol": "rbd", "name": "vms/web", "hosts": [text]}
    found = wanted({"disks": [{"name": "root", "source": source}]})
    assert found.spec.disks[0].source == NetworkSource("rbd", "vms/web", (text,))


@pytest.mark.parametrize(
    ("path", "found", "block"),
    [
        ("/dev/vg0/web", None, True),
        ("/srv/link", VolumeFile("/srv/link", "raw", GIB, block=True), True),
        ("/dev/shm/web.raw", VolumeFile("/dev/shm/web.raw", "raw", GIB), False),
        ("/srv/web.raw", VolumeFile("/srv/web.raw", "raw", GIB), False),
    ],
)
def test_a_block_device_is_known_by_what_it_is_and_else_by_its_name(path: str, found: VolumeFile | None, block: bool) -> None:
    options = read_options({"name": "web", "disks": [{"name": "root", "path": path}]})
    facts = host(files={path: found} if found else {})
    (disk,) = resolve(options, None, (), facts).spec.disks
    assert (disk.path, disk.block) == (path, block)
    (again,) = resolve(read_options({"name": "web"}), spec(disks=(disk,)), (), facts).spec.disks
    assert again == disk
    for other in ({"size": "1GiB"}, {"source": {"protocol": "nbd", "name": "x", "hosts": ["[2001:db8::1]:10809"]}}):
        away = read_options({"name": "web", "disks": [{"name": "root", **other}]})
        assert resolve(away, spec(disks=(disk,)), (), facts).spec.disks[0].block is False


def test_a_disk_elsewhere_has_no_file_and_keeps_its_source() -> None:
    source = {"protocol": "rbd", "name": "vms/web", "user": "edge", "secret": stable_uuid("key")}
    found = wanted({"disks": [{"name": "root", "source": source}]})
    assert found.volumes == ()
    assert found.spec.disks[0].source == NetworkSource("rbd", "vms/web", (), "edge", stable_uuid("key"))
    assert wanted({"disks": [{"name": "root"}]}, found.spec) == found


def test_cpus_are_written_as_libvirt_writes_them() -> None:
    found = wanted({"max_vcpus": 3, "vcpu_pinning": ["2,0,1", "", "5"], "emulator_pinning": "7,6"}).spec
    assert (found.vcpu_pinning, found.emulator_pinning) == (("0-2", "", "5"), "6-7")
    freed = wanted({"vcpu_pinning": [], "emulator_pinning": ""}, found).spec
    assert (freed.vcpu_pinning, freed.emulator_pinning) == ((), None)


def test_firmware_keeps_its_variables_in_the_folder_of_the_vm() -> None:
    found = wanted({"firmware": "uefi", "secure_boot": True, "tpm": True}).spec
    assert (found.firmware, found.secure_boot, found.nvram) == ("uefi", True, "/var/lib/edge/vms/web/nvram.fd")
    assert wanted({}, found).spec == found


def test_what_was_not_asked_is_not_checked() -> None:
    """A domain that was taken over may have what its options would not take."""
    nic = Nic("lan", "01:00:5E:00:00:01", bridge="br0", mtu=9, queues=999)
    before = spec(vcpus=2000, iothreads=99, emulator_pinning="any", nics=(nic,), disks=(root_disk(queues=999, iothread=70),))
    asked = {"disks": [{"name": "root"}], "nics": [{"name": "lan", "bridge": "br0"}], "memory": "2GiB"}
    after = wanted(asked, before, (root_volume(),)).spec
    assert after == replace(before, memory=2 * GIB, max_memory=2 * GIB)
