# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin in this process, with its documented options, against libvirt's test driver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import libvirt
import pytest
import yaml
from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import fragment_loader
from ansible.template import Templar
from ansible.utils.plugin_docs import add_fragments
from ansible_collections.edge.cloud.plugins.inventory import libvirt as libvirt_inventory
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import Cpu, Nic, Record, stable_uuid
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, parse, parse_xml, to_text
from support.compute import DIGEST, root_disk, root_volume, spec

NAME = "edge.cloud.libvirt"
URI = "test:///default"
DEAD = "test+tcp://127.0.0.1:1/default"


@pytest.fixture(scope="module", autouse=True)
def _options() -> None:
    """What the plugin loader does when the collection is installed: the documentation says which options there are."""
    documented = yaml.safe_load(libvirt_inventory.DOCUMENTATION)
    add_fragments(documented, libvirt_inventory.__file__, fragment_loader=fragment_loader)
    C.config.initialize_plugin_configuration_definitions("inventory", NAME, documented["options"])


@pytest.fixture
def driver() -> Iterator[Any]:
    """A hypervisor with a stopped VM of ours, and the test driver's own running one."""
    connection = libvirt.open(URI)
    ours = spec(virt_type="test", arch="i686", machine="", cpu=Cpu("none"), uuid=stable_uuid("web"), disks=(root_disk(),))
    found = connection.defineXML(to_text(emit(ours, Record(ours, (root_volume(),)))))
    yield connection
    if found.isActive():
        found.destroy()
    found.undefine()
    connection.close()


@pytest.fixture
def read(driver: Any, tmp_path: Path) -> Any:
    def read_inventory(fresh: bool = False, **options: Any) -> InventoryData:
        source = tmp_path / "vms.libvirt.yml"
        source.write_text(yaml.safe_dump({"plugin": NAME, "uris": [URI], **options}))
        found, plugin = InventoryData(), libvirt_inventory.InventoryModule()
        plugin._load_name = NAME
        plugin.parse(found, DataLoader(), str(source), not fresh)
        plugin.update_cache_if_changed()
        return found

    return read_inventory


def of(found: InventoryData, name: str) -> dict[str, Any]:
    return dict(found.get_host(name).get_vars())


def groups(found: InventoryData, name: str) -> set[str]:
    return {group for group, members in found.get_groups_dict().items() if name in members} - {"all", "ungrouped"}


def test_vms_are_hosts_with_what_is_known_of_them(read: Any, driver: Any) -> None:
    found = read()
    web, test = of(found, "web"), of(found, "test")
    assert (web["edge_state"], web["edge_managed"], web["edge_memory"], web["edge_vcpus"]) == ("stopped", True, 2**30, 1)
    assert (web["edge_uuid"], web["edge_images"], web["edge_uri"]) == (stable_uuid("web"), {"root": DIGEST}, URI)
    assert web["edge_spec_hash"].startswith("sha256:") and web["edge_disks"] == {"root": root_disk().path}
    assert "ansible_host" not in web and web["edge_address"] is None
    assert (test["edge_state"], test["edge_managed"], test["edge_images"]) == ("running", False, {})
    assert test["ansible_host"] == test["edge_address"] == test["edge_addresses"][0]["address"]
    place = "hypervisor_" + driver.getHostname().translate(str.maketrans(".-", "__"))
    assert groups(found, "web") == {"state_stopped", place}
    assert groups(found, "test") == {"state_running", place}


def test_a_leased_address_is_known_of_a_stopped_vm_and_comes_first_of_a_running_one(read: Any, driver: Any) -> None:
    nic = Nic("nic0", "52:54:00:00:00:01", network="default", addresses=("192.0.2.20/24", "2001:db8::20"))
    known = replace(parse(parse_xml(driver.lookupByName("web").XMLDesc())).spec, nics=(nic,))
    driver.defineXML(to_text(emit(known, Record(known))))
    web = of(read(), "web")
    assert (web["edge_state"], web["ansible_host"]) == ("stopped", "192.0.2.20")
    found = [(one["address"], one["prefix"], one["source"], one["leased"]) for one in web["edge_addresses"]]
    assert found == [("192.0.2.20", 24, "record", True), ("2001:db8::20", None, "record", True)]

    driver.lookupByName("web").create()
    by_lease, by_sight = of(read(), "web"), of(read(reach_by="seen"), "web")
    (seen,) = [one for one in by_lease["edge_addresses"] if not one["leased"]]
    assert (by_lease["ansible_host"], by_sight["ansible_host"]) == ("192.0.2.20", seen["address"])
    assert by_lease["edge_addresses"] == by_sight["edge_addresses"]


@pytest.mark.parametrize("text", ["{{ 7 * 7 }}", "192.0.2.20 -oProxyCommand=id", "", "192.0.2.0/99"])
def test_a_record_that_was_edited_gives_no_address_that_is_none(read: Any, driver: Any, text: str) -> None:
    nic = Nic("nic0", "52:54:00:00:00:01", network="default", addresses=(text,))
    known = replace(parse(parse_xml(driver.lookupByName("web").XMLDesc())).spec, nics=(nic,))
    driver.defineXML(to_text(emit(known, Record(known))))
    web = of(read(), "web")
    assert "ansible_host" not in web and web["edge_addresses"] == []


def test_only_some(read: Any) -> None:
    assert list(read(states=["running"]).hosts) == ["test"]
    assert list(read(managed=True).hosts) == ["web"]
    assert list(read(managed=False).hosts) == ["test"]
    assert list(read(hostname="uuid", managed=True).hosts) == [stable_uuid("web")]


def test_constructed(read: Any) -> None:
    found = read(
        strict=True,
        compose={"size": "edge_memory // 2 ** 20"},
        groups={"big": "edge_memory > 2 ** 30"},
        keyed_groups=[{"key": "edge_arch", "prefix": "arch"}],
    )
    assert of(found, "web")["size"] == 1024
    assert "big" in groups(found, "test") and "big" not in groups(found, "web")
    assert "arch_i686" in groups(found, "web")
    with pytest.raises(AnsibleError, match="nothing_of_this_name"):
        read(strict=True, compose={"x": "nothing_of_this_name"})


NODE = """<node><network><name>default</name><bridge name='virbr0'/><ip address='192.0.2.1' netmask='255.255.255.0'/></network>
{}<cpu><mhz>1</mhz><nodes>1</nodes><sockets>1</sockets><cores>1</cores><threads>1</threads></cpu><memory>8192000</memory></node>"""
VM = """<domain type='test'><name>{}</name><uuid>00000000-0000-4000-8000-0000000000{:02x}</uuid><memory>65536</memory>
<os><type>hvm</type></os></domain>"""


@pytest.fixture
def node(tmp_path: Path) -> Any:
    """Return the URI of a hypervisor that has running VMs of these names."""

    def write(*names: str, place: int = 0) -> str:
        path = tmp_path / f"node{place}.xml"
        vms = "".join(VM.format(escape(name), place * 16 + number) for number, name in enumerate(names))
        path.write_text(NODE.format(vms), encoding="utf-8")
        return f"test://{path}"

    return write


def names(found: InventoryData) -> set[str]:
    return {str(host.get_vars()["edge_name"]) for host in found.hosts.values()}


@pytest.mark.parametrize(
    "case",
    [
        ("all", {}),
        ("ungrouped", {}),
        ("localhost", {}),
        ("state_running", {}),
        ("hypervisor_HERE", {}),
        ("HERE", {}),
        ("vm_web", {"keyed_groups": [{"key": "edge_name", "prefix": "vm"}]}),
        ("up", {"keyed_groups": [{"key": "edge_name", "prefix": "vm", "parent_group": "up"}, {"key": "edge_arch", "prefix": "x"}]}),
        ("large", {"groups": {"large": "edge_memory > 0"}}),
        ("small", {"groups": {"small": "inventory_hostname == 'small'"}}),
        ("{{ lookup('pipe', 'id') }}", {"compose": {"x": "edge_name"}}),
        ("Windows Server 2019 (prod)", {}),
        ("vm[1:3]", {}),
        ("a:b", {}),
    ],
)
def test_a_vm_of_an_odd_name_has_another_and_the_others_stay(
    read: Any, driver: Any, node: Any, capsys: pytest.CaptureFixture[str], case: tuple[str, dict[str, Any]]
) -> None:
    here, (odd, options) = driver.getHostname(), case
    odd = odd.replace("HERE", here if odd == "HERE" else here.translate(str.maketrans(".-", "__")))
    found = read(uris=[node("web", odd, "db")], strict=True, **options)
    found.reconcile_inventory()
    assert names(found) == {"web", odd, "db"} and {"web", "db"} < set(found.hosts) and odd not in found.hosts
    assert not set(found.hosts) & set(found.groups) and "localhost" not in found.hosts
    assert set(found.get_groups_dict()["state_running"]) == set(found.hosts)
    assert "in the inventory as" in capsys.readouterr().err.replace("\n", " ")


def test_a_group_of_another_source_is_no_host_either(node: Any, tmp_path: Path) -> None:
    source = tmp_path / "vms.libvirt.yml"
    source.write_text(yaml.safe_dump({"plugin": NAME, "uris": [node("web", "db")]}))
    found, plugin = InventoryData(), libvirt_inventory.InventoryModule()
    found.add_group("web")
    plugin._load_name = NAME
    plugin.parse(found, DataLoader(), str(source), False)
    assert "web" not in found.hosts and "db" in found.hosts and names(found) == {"web", "db"}


def test_what_others_have_written_is_never_a_template(read: Any, node: Any) -> None:
    odd = "{{ lookup('pipe', 'id') }}"
    found = read(uris=[node(odd)], compose={"shown": "edge_name"})
    (host,) = found.hosts.values()
    for value in (host.get_vars()["edge_name"], host.get_vars()["shown"]):
        assert Templar(loader=DataLoader(), variables={"x": value}).template(value) == odd


def test_the_same_hypervisor_by_two_names_is_one(read: Any, driver: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found = read(uris=[URI, URI, "test:///default?x=1"])
    says = capsys.readouterr().err.replace("\n", " ")
    assert sorted(found.hosts) == ["test", "web"]
    assert "is the same hypervisor as" in says and "at the same time" not in says


def test_two_vms_of_one_name_on_two_hypervisors(read: Any, node: Any) -> None:
    found = read(uris=[node("web", place=1), node("web", "db", place=2)])
    assert "web" not in found.hosts and "db" in found.hosts and len(found.hosts) == 3


@pytest.mark.parametrize("uri", ["qemu+ssh://root@[2001:db8::1/system", "no uri", "", "test:///no/such.xml"])
def test_a_uri_that_is_none_is_a_hypervisor_that_does_not_answer(read: Any, uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "test" in read(uris=[uri, URI]).hosts
    assert "Its VMs are missing" in capsys.readouterr().err.replace("\n", " ")


def test_a_hypervisor_that_does_not_answer(read: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found = read(uris=[DEAD, URI])
    assert sorted(found.hosts) == ["test", "web"]
    assert f"Could not connect to libvirt at {DEAD}" in capsys.readouterr().err.replace("\n", " ")
    with pytest.raises(AnsibleError, match="Could not connect to libvirt"):
        read(uris=[DEAD, URI], unreachable="fail")


def test_the_cache_is_used_refreshed_and_never_holds_a_part(read: Any, driver: Any, tmp_path: Path) -> None:
    options = {"cache": True, "cache_plugin": "jsonfile", "cache_connection": str(tmp_path / "cache")}
    read(uris=[DEAD, URI], **options)
    assert not list((tmp_path / "cache").glob("*"))
    first = read(**options)
    driver.lookupByName("web").create()
    again = read(**options)
    assert of(again, "web") == of(first, "web")
    assert groups(again, "web") == groups(first, "web")
    assert of(read(fresh=True, **options), "web")["edge_state"] == "running"
    assert of(read(**options), "web")["edge_state"] == "running"


def test_other_files_and_bad_options_are_reported(read: Any, tmp_path: Path) -> None:
    with pytest.raises(AnsibleError, match="uris"):
        read(uris=None)
    with pytest.raises(AnsibleError, match="states"):
        read(states=["asleep"])
    for name, is_ours in (("vms.yml", False), ("vms.libvirt.yml", True), ("libvirt.yaml", True)):
        (tmp_path / name).touch()
        assert libvirt_inventory.InventoryModule().verify_file(str(tmp_path / name)) is is_ours
