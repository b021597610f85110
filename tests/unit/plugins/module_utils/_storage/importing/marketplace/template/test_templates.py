# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of an OpenNebula marketplace: each kind as the public ones have it, and those of people who mean no good."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput, NotFound
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace import opennebula
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace.appliance import Appliance
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace.choice import Query, choose
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace.template.roles import (
    appliance_of_role,
    in_manifest,
)
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace.template.syntax import attributes_of
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.marketplace.template.vm import LARGEST_JSON, REASONS
from ansible_collections.edge.cloud.plugins.module_utils._template import json_form
from ansible_collections.edge.cloud.plugins.module_utils._template.answers import RUN_BY_GUEST
from ansible_collections.edge.cloud.plugins.module_utils._template.model import (
    Part,
    Reference,
    ServiceTemplate,
    TemplateNic,
    VmTemplate,
    literal,
)
from hypothesis import given
from hypothesis import strategies as st
from support.opennebula_market import DATABASE, NODE, SERVICE, entry, image, market, whole

BASE = "https://market.example"
MIB = 2**20


def read(*entries: Any) -> dict[str, Appliance]:
    found = opennebula.parse(market(*entries), "here", BASE)
    assert found.skipped == ()
    return {one.id: one for one in found.appliances}


def vm(template: Any) -> VmTemplate:
    """Return what is made of the ``opennebula_template`` of an image, an object or a text."""
    found = read({**image("x", "X"), "opennebula_template": template})["x"].template
    assert isinstance(found, VmTemplate)
    return found


def reasons(template: Any) -> dict[str, str]:
    return {one.attribute: one.reason for one in vm(template).dropped}


def test_an_image_with_defaults_and_every_type_of_user_input() -> None:
    found = vm(json.dumps(DATABASE))
    assert (found.memory, found.vcpus, found.cpu, found.display) == (768 * MIB, 2, 0.5, "vnc")
    assert found.dropped == ()
    context = dict(found.context)
    assert context["NETWORK"] == literal("YES")
    assert (context["SSH_PUBLIC_KEY"], context["SET_HOSTNAME"]) == ((Part("fact", "ssh_public_keys"),), (Part("fact", "name"),))
    assert json_form.value_json(context["ONEAPP_DB_URL"]) == [
        {"text": "tcp://"},
        {"input": "ONEAPP_DB_HOST"},
        {"text": ":"},
        {"input": "ONEAPP_DB_PORT"},
        {"text": "/"},
        {"input": "ONEAPP_DB_NAME"},
    ]
    inputs = {one.name.removeprefix("ONEAPP_DB_"): one for one in found.inputs}
    assert list(inputs)[:2] == ["NAME", "PASSWORD"], "inputs_order comes first"
    assert [one.type for one in inputs.values()] == [
        "text", "password", "text", "number", "range", "range-float", "number-float", "list", "list-multiple", "boolean", "text64",
        "fixed",
    ]  # fmt: skip
    assert (inputs["NAME"].mandatory, inputs["NAME"].text, inputs["NAME"].default) == (True, "Name of the database", None)
    assert (inputs["HOST"].mandatory, inputs["HOST"].default) == (False, literal("localhost"))
    assert (inputs["USERS"].minimum, inputs["USERS"].maximum, inputs["USERS"].default) == ("1", "64", literal("8"))
    assert (inputs["LOAD"].minimum, inputs["ENGINE"].choices) == ("0.5", ("heap", "tree"))
    assert (inputs["PARTS"].default, inputs["EDITION"].default) == (literal("web,api"), literal("community"))


def test_an_object_a_text_and_xml_say_the_same() -> None:
    text = """
        # our own syntax
        CPU = 0.5  VCPU="2"
        MEMORY = "768" # MB
        EMPTY =
        CONTEXT = [ NETWORK = "YES", GREETING = "say \\"hi\\", [you] = $ONEAPP_A",
          FOLDER = "C:\\\\dir" ]
        USER_INPUTS=[ONEAPP_A="M|text|Who,
          are you?| |x"]
        NIC=[NETWORK="Blue",MODEL=virtio]
        NIC = [ ]
    """
    tree = {
        "cpu": 0.5,
        "vcpu": 2,
        "memory": "768",
        "empty": None,
        "context": {"network": True, "greeting": 'say "hi", [you] = $ONEAPP_A', "folder": "C:\\\\dir"},
        "user_inputs": {"oneapp_a": "M|text|Who,\n          are you?| |x"},
        "nic": [{"network": "Blue", "model": "virtio"}, {}],
    }
    xml = """<VMTEMPLATE><ID>7</ID><TEMPLATE><CPU>0.5</CPU><VCPU><![CDATA[2]]></VCPU><MEMORY>768</MEMORY><EMPTY/>
        <CONTEXT><NETWORK>YES</NETWORK><GREETING>say &quot;hi&quot;, [you] = $ONEAPP_A</GREETING>
        <FOLDER>C:\\\\dir</FOLDER></CONTEXT>
        <USER_INPUTS><ONEAPP_A>M|text|Who,
          are you?| |x</ONEAPP_A></USER_INPUTS>
        <NIC><NETWORK>Blue</NETWORK><MODEL>virtio</MODEL></NIC></TEMPLATE></VMTEMPLATE>"""
    found = vm(tree)
    assert (found.memory, found.cpu, dict(found.context)["GREETING"]) == (
        768 * MIB,
        0.5,
        (Part("text", 'say "hi", [you] = '), Part("input", "ONEAPP_A")),
    )
    assert vm(json.dumps(tree)) == found
    assert vm(text) == found
    assert vm(xml).context == found.context
    assert vm(xml).nics == found.nics[:1] == (TemplateNic("nic0", "Blue", "virtio"),)


@pytest.mark.parametrize(
    "template",
    [
        'CPU="1', "CPU", 'CONTEXT=[A="1"', 'CONTEXT=[A="1" B="2"]', "=1", "[1]", '{"cpu":', "<TEMPLATE><CPU>1</TEMPLATE>", 7, [1],
        '<!DOCTYPE a [<!ENTITY b "c">]><TEMPLATE><CPU>&b;</CPU></TEMPLATE>', 'A="' + "x" * 300_000 + '"', {"a": ["x" * 300_000]},
        "\n".join(f'A{at}="1"' for at in range(3000)), {f"a{at}": "1" for at in range(3000)},
    ],
)  # fmt: skip
def test_what_is_no_template_is_told_and_the_image_stays(template: Any) -> None:
    found = read({**image("x", "X"), "opennebula_template": template})["x"]
    assert isinstance(found.template, VmTemplate)
    (dropped,) = found.template.dropped
    assert (dropped.attribute, found.template.memory, len(found.files)) == ("opennebula_template", None, 1)
    assert len(dropped.reason) <= 300


def test_what_would_run_programs_or_reach_into_the_host_is_dropped_with_the_reason() -> None:
    hostile = {
        "memory": "512",
        "raw": {"type": "kvm", "data": "<devices><disk><source file='/etc/shadow'/></disk></devices>"},
        "hook": {"command": "/bin/sh"},
        "emulator": "/tmp/evil",
        "pci": {"device": "0aa9"},
        "os": {
            "kernel": "/boot/vmlinuz",
            "firmware": "/usr/share/OVMF/OVMF_CODE.fd",
            "kernel_cmd": "init=/bin/sh",
            "boot": "disk0",
        },
        "disk": [
            {"source": "/dev/sda"},
            {"image_id": "7"},
            {"image": "Data", "path": "/etc/passwd"},
            {"size": "100", "type": "fs"},
        ],
        "nic": [
            {"network": "a", "script": "/bin/sh", "bridge": "br0", "target": "$(reboot)", "ip": "$(reboot)"},
            {"network_id": "7"},
        ],
        "context": {
            "files": "/etc/shadow",
            "start_script": "curl x | sh",
            "start_script_base64": "Y3VybCB4IHwgc2g=",
            "user_data": "#!/bin/sh",
            "init_scripts": "a.sh",
            "target": "hdb",
            "ip": '$NIC[IP, NETWORK="a"]',
            "secret": "$USER[PASSWORD]",
            "vm": "$VMID",
            "disk": '$IMAGE[PATH, IMAGE="x"]',
            "password": "opensesame",
            "db_passwd": "opensesame",
            "ssh_public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEvil evil@evil.example",
            "a-b": "1",
            "x';reboot;'": "1",
            "bell": "\x07",
            "ld_preload": "/tmp/evil.so",
            "path": "/tmp",
            "long": "x" * 20_000,
            "kept": "'; reboot; '",
        },
        "user_inputs": {
            "db_password": "M|password|Password||opensesame",
            "api_password": "M|text|Password||opensesame",
            "a b": "M|text|A",
            "kind": "M|script|A",
            "need": "X|text|A",
            "none": "",
            "list": "M|list|A",
            "range": "M|range|A|9..1|3",
            "small": "O|range|A|1..9|30",
            "wrong": "O|list|A|x,y|z",
            "yes": "O|boolean|A||maybe",
            "ref": "O|text|A||$USER[NAME]",
        },
    }
    found = vm(hostile)
    assert found.memory == 512 * MIB
    assert [name for name, _value in found.context] == ["KEPT"]
    assert [(one.name, one.default) for one in found.inputs] == [
        ("DB_PASSWORD", None), ("API_PASSWORD", None), ("SMALL", None), ("WRONG", None), ("YES", None), ("REF", None),
    ]  # fmt: skip
    assert [(disk.name, disk.size) for disk in found.disks] == [("disk0", 100 * MIB)]
    assert [nic.role for nic in found.nics] == [""]
    told = {one.attribute: one.reason for one in found.dropped}
    for attribute in (
        "RAW", "HOOK", "EMULATOR", "PCI", "OS/KERNEL", "OS/FIRMWARE", "OS/KERNEL_CMD", "DISK[0]/SOURCE", "DISK[1]/IMAGE_ID",
        "DISK[2]/PATH", "NIC[0]/SCRIPT", "NIC[0]/BRIDGE", "NIC[0]/TARGET", "NIC[1]/NETWORK_ID", "NIC[0]", "CONTEXT/FILES",
        "CONTEXT/START_SCRIPT", "CONTEXT/START_SCRIPT_BASE64", "CONTEXT/USER_DATA", "CONTEXT/INIT_SCRIPTS", "CONTEXT/TARGET",
        "CONTEXT/IP", "CONTEXT/SECRET", "CONTEXT/VM", "CONTEXT/DISK", "CONTEXT/PASSWORD", "CONTEXT/DB_PASSWD", "CONTEXT/A-B",
        "CONTEXT/SSH_PUBLIC_KEY", "CONTEXT/BELL", "CONTEXT/LD_PRELOAD", "CONTEXT/PATH", "CONTEXT/LONG", "CONTEXT/X';REBOOT;'",
        "USER_INPUTS/DB_PASSWORD",
        "USER_INPUTS/API_PASSWORD", "USER_INPUTS/A B", "USER_INPUTS/KIND", "USER_INPUTS/NEED", "USER_INPUTS/NONE",
        "USER_INPUTS/LIST", "USER_INPUTS/RANGE", "USER_INPUTS/SMALL", "USER_INPUTS/WRONG", "USER_INPUTS/YES", "USER_INPUTS/REF",
    ):  # fmt: skip
        assert told.pop(attribute)
    assert told == {}
    assert "opensesame" not in json.dumps(json_form.to_json(found))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"cpu": "1"}, (None, None, 1.0)),
        ({"cpu": "0.1", "memory": "2048"}, (2048 * MIB, None, 0.1)),
        ({"cpu": 2, "vcpu": 4, "memory": 1024}, (1024 * MIB, 4, 2.0)),
        ({"cpu": 2.0, "vcpu": 4.0, "memory": 1024.0}, (1024 * MIB, 4, 2.0)),
        ({"cpu": "-1", "vcpu": "0", "memory": "0"}, (None, None, None)),
        ({"cpu": "nan", "vcpu": "1.5", "memory": "1e3"}, (None, None, None)),
        ({"cpu": "9999", "vcpu": "99999", "memory": "999999999999"}, (None, None, None)),
        ({"cpu": "$CPU", "vcpu": ["1"], "memory": {"a": "1"}}, (None, 1, None)),
        ({"cpu": "0.5 ", "memory": "2 GB"}, (None, None, 0.5)),
        ({"memory": "8"}, (None, None, None)),
    ],
)
def test_sizes(sizes: dict[str, Any], expected: tuple[Any, ...]) -> None:
    found = vm(sizes)
    assert (found.memory, found.vcpus, found.cpu) == expected
    assert {one.attribute for one in found.dropped} == {
        name.upper() for name, value in zip(("memory", "vcpu", "cpu"), expected, strict=True) if value is None and name in sizes
    }


def test_a_template_of_a_vm_refers_to_its_disks() -> None:
    found = opennebula.parse(whole(), "here", BASE)
    by_id = {one.id: one for one in found.appliances}
    one, two = by_id["t1"], by_id["t2"]
    assert isinstance(two.template, VmTemplate)
    assert [disk.appliance for disk in two.template.disks] == [Reference("Node OS disk", "i2"), Reference("Data disk", "i3")]
    assert one.files == by_id["i2"].files
    assert two.files == (*by_id["i2"].files, *by_id["i3"].files)
    assert (two.template.memory, two.template.vcpus, two.template.dropped) == (3072 * MIB, 2, ())
    assert choose(found.appliances, Query(name="Node"), "here") == one
    with pytest.raises(InvalidInput, match=r"is a service with the roles router \(Router\), worker \(Node\), storage"):
        choose(found.appliances, Query(id="s1"), "here")


def test_references_by_identifier_by_name_and_of_another_marketplace() -> None:
    disks = [
        "i2",
        {"app": "Old"},
        {"id": "i1", "name": "Other"},
        f"{BASE}/appliance/i2",
        "https://other.example/appliance/i9",
        {"name": "Far", "marketplace": "https://other.example/"},
        "Nowhere",
        "Node",
    ]
    old = {"version": "0.9"}
    entries = (image("i1", "Old", **old), image("i3", "Old", version="0.10"), image("i2", "New"), entry("n", "Node", "VMTEMPLATE"))
    one = read(*entries, entry("t", "T", "VMTEMPLATE", NODE, disks=disks))["t"]
    assert isinstance(one.template, VmTemplate)
    assert [disk.appliance for disk in one.template.disks] == [
        Reference("New", "i2"),
        Reference("Old", "i3"),
        Reference("Old", "i1"),
        Reference("New", "i2"),
        Reference("", "i9", "https://other.example"),
        Reference("Far", None, "https://other.example"),
        Reference("Nowhere"),
        Reference("Node"),
    ]
    assert [dropped.attribute for dropped in one.template.dropped] == ["disks/disk6", "disks/disk7"]
    assert len(one.files) == 4
    same = read(image("a", "D", version="1"), image("b", "D", version="2"), entry("t", "T", "VMTEMPLATE", version="1", disks=["D"]))
    assert isinstance(same["t"].template, VmTemplate)
    assert same["t"].template.disks[0].appliance == Reference("D", "a"), "that of the template's own version"
    arm = {"os-arch": "aarch64"}
    same = read(image("a", "D", **arm), image("b", "D", version="9"), entry("t", "T", "VMTEMPLATE", disks=["D"], **arm))
    assert isinstance(same["t"].template, VmTemplate)
    assert same["t"].template.disks[0].appliance == Reference("D", "a"), "that of the template's own architecture"


def test_a_service_has_its_roles_in_order_with_what_they_say() -> None:
    service = {one.id: one for one in opennebula.parse(whole(), "here", BASE).appliances}["s1"].template
    assert isinstance(service, ServiceTemplate)
    assert service.deployment == "straight"
    router, worker, storage = service.roles
    assert (router.name, router.parents, router.appliance) == ("router", (), Reference("Router", "i4"))
    assert router.template.nics == (
        TemplateNic("NIC0", "PUBLIC"),
        TemplateNic("NIC1", "PRIVATE", None, (Part("input", "ROUTER_IP"),)),
    )
    assert (worker.cardinality, worker.minimum, worker.maximum, worker.parents) == (2, 1, 6, ("router",))
    assert worker.template.memory == 4096 * MIB
    assert dict(worker.template.values) == {"FALLBACK_GW": (Part("role", "router", 1),)}
    assert (storage.cardinality, storage.appliance) == (0, Reference("Node with disk", "t2"))
    assert [(one.name, one.type, one.mandatory, one.default) for one in service.networks] == [
        ("PUBLIC", "network", True, None),
        ("PRIVATE", "network", True, None),
    ]
    assert [(one.name, one.mandatory) for one in service.inputs] == [
        ("APP_PORT", False), ("APP_TLS", False), ("ROUTER_IP", True), ("NO_PROXY", False),
    ]  # fmt: skip
    assert service.inputs[3].default == (
        Part("text", "localhost,"), Part("input", "APP_PORT"), Part("text", ","), Part("role", "router", 0),
    )  # fmt: skip
    assert [one.attribute for one in service.dropped] == ["roles/worker/elasticity_policies"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"roles": [{"name": "a", "parents": ["b"]}, {"name": "b", "parents": ["a"]}]}, "opennebula_template"),
        ({"roles": [{"name": "a"}, {"name": "a"}]}, "opennebula_template"),
        ({"roles": [{"name": "../a"}]}, "opennebula_template"),
        ({"roles": "a"}, "opennebula_template"),
        ({"roles": [{"name": f"r{at}"} for at in range(100)]}, "opennebula_template"),
        ({"roles": [{"name": "worker", "parents": ["gone", "worker", 7]}]}, "roles/worker/parents"),
        ({"roles": [{"name": "worker", "parents": "router"}]}, "roles/worker/parents"),
        ({"roles": [{"name": "unnamed"}]}, "roles/unnamed/appliance"),
        ({"roles": [{"name": "worker", "cardinality": -1}]}, "roles/worker/cardinality"),
        ({"roles": [{"name": "worker", "cardinality": 10**9}]}, "roles/worker/cardinality"),
        ({"roles": [{"name": "worker", "vm_template_contents": 'NIC=["'}]}, "roles/worker/vm_template_contents"),
        ({"deployment": "sideways"}, "deployment"),
        ({"networks": {"A": 7}}, "networks/A"),
        ({"networks": ["A"]}, "networks"),
        ({"shutdown_action": "terminate-hard"}, "shutdown_action"),
    ],
)
def test_services_that_are_wrong_in_part(changes: dict[str, Any], told: str) -> None:
    roles = {"worker": "Node", "router": "Router", "storage": "Node"}
    service = entry("s", "S", "SERVICE_TEMPLATE", {**SERVICE, **changes}, roles=roles)
    found = read(image("i4", "Router"), entry("t1", "Node", "VMTEMPLATE", NODE), service)["s"].template
    assert found is not None
    assert told in {one.attribute for one in found.dropped}


def test_a_role_of_a_service_is_an_appliance_with_the_roles_template() -> None:
    catalogue = opennebula.parse(whole(), "here", BASE)
    one, service = appliance_of_role(catalogue, Query(name="Service *"), "worker", "here")
    assert (one.id, len(one.files), service["role"], service["deployment"]) == ("t1", 1, "worker", "straight")
    assert isinstance(one.template, VmTemplate)
    assert (one.template.memory, one.template.vcpus) == (4096 * MIB, 2)
    assert [nic.role for nic in one.template.nics] == ["PRIVATE"]
    assert [asked.name for asked in one.template.inputs] == ["APP_PORT", "APP_TLS", "ROUTER_IP", "NO_PROXY"]
    kept = in_manifest(one.template, service)
    assert json_form.vm_of(kept, "it") == one.template
    assert json_form.service_of(kept["service"], "it").roles[0].name == "router"
    with pytest.raises(InvalidInput, match=r"no role 'cook' \(it has: router, worker, storage\)"):
        appliance_of_role(catalogue, Query(id="s1"), "cook", "here")
    with pytest.raises(NotFound, match="has 0 services"):
        appliance_of_role(catalogue, Query(id="i1"), "worker", "here")


def test_a_role_says_why_its_appliance_or_service_was_skipped() -> None:
    node = {**entry("t1", "Node", "VMTEMPLATE", NODE), "files": [{"url": "ftp://x.example/a"}]}
    service = entry(
        "s1", "Service Cluster", "SERVICE_TEMPLATE", SERVICE, roles={"worker": "Node", "router": "Node", "storage": "Node"}
    )
    catalogue = opennebula.parse(json.dumps({"appliances": [node, service]}).encode(), "here", BASE)
    assert [one.id for one in catalogue.appliances] == ["s1"]
    with pytest.raises(NotFound, match=r"of the role worker .*'ftp://x.example/a' is not an http or https URL"):
        appliance_of_role(catalogue, Query(id="s1"), "worker", "here")
    with pytest.raises(NotFound, match=r"has 0 services .*'ftp://x.example/a' is not an http or https URL"):
        appliance_of_role(catalogue, Query(id="t1"), "worker", "here")


def test_a_template_that_is_too_large_for_a_manifest_is_told() -> None:
    found = vm({"context": {f"a{at}": "x" * 10_000 for at in range(10)}})
    assert found.context == ()
    assert "bytes as JSON" in found.dropped[0].reason


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
known = st.sampled_from(["cpu", "vcpu", "memory", "context", "user_inputs", "nic", "disk", "os", "roles", "networks", "raw", "A"])
inputs = st.lists(st.sampled_from(["M", "O", "text", "range", "1..2", "list", "a,b", "$A", "${b.c}", "$NIC[X]", ""])).map("|".join)


@given(st.dictionaries(known, trees | st.dictionaries(st.text("abA_$ ", max_size=4), inputs, max_size=3)), trees, trees)
def test_whatever_is_in_a_template_it_is_read_or_told_and_fits_a_manifest(tree: Any, disks: Any, roles: Any) -> None:
    entries = (
        {**image("i", "I"), "opennebula_template": tree},
        {**entry("t", "T", "VMTEMPLATE"), "opennebula_template": tree, "disks": disks},
        {**entry("s", "S", "SERVICE_TEMPLATE"), "opennebula_template": tree, "roles": roles},
    )
    for one in read(*entries).values():
        if one.template is None:
            continue
        shown = json_form.to_json(one.template)
        assert len(json.dumps(shown)) <= LARGEST_JSON
        again = json_form.service_of(shown, "it") if shown["kind"] == "service" else json_form.vm_of(shown, "it")
        assert json_form.to_json(again) == shown


@given(st.text('A=[]",\\# \n$<{', max_size=40) | st.text(max_size=40))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    with suppress(InvalidInput):
        attributes_of(text, "it")


@pytest.mark.parametrize("text", ['A="' + "\\" * 250_000, "$A[" * 5000, "[" * 250_000, "A=[" * 80_000, "#" * 250_000, "${" * 5000])
def test_a_long_text_takes_no_long_time(text: str) -> None:
    begun = time.process_time()
    vm(text)
    vm({"context": {f"a{at}": text[:16_000] for at in range(15)}})
    assert time.process_time() - begun < 20, "seconds of CPU; a search that starts over at each character takes minutes"


def test_many_entries_of_one_name_take_no_long_time() -> None:
    images = [image(f"i{at}", "Same") for at in range(2000)]
    begun = time.process_time()
    found = read(*images, *(entry(f"t{at}", "T", "VMTEMPLATE", disks=["Same"] * 64) for at in range(200)))
    assert len(found["t0"].files) == 64
    assert time.process_time() - begun < 30, "seconds of CPU; each reference compared with each entry takes minutes"


def test_reasons_name_the_attribute_and_not_the_value() -> None:
    assert "opensesame" not in json.dumps(reasons({"context": {"root_password": "opensesame"}, "raw": "opensesame"}))


ODD: list[Any] = [
    "\ud800", "<a>\ud800</a>", "\x00", "", "²", "$", "${}", "[", "http://[", -1, 10**400, 1e999, float("nan"), True, None, [], {},
    [[]], [None], ["\ud800"], {"\ud800": 1},
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(one for key, part in inner for one in places(part, (*path, key)))]


@pytest.mark.parametrize("kind", ["SERVICE_TEMPLATE", "VMTEMPLATE", "IMAGE"])
def test_no_odd_value_anywhere_hides_a_sound_entry(kind: str) -> None:
    role = {"name": "r", "cardinality": 1, "parents": [], "min_vms": 1, "vm_template_contents": 'NIC=[NETWORK_ID="$P"]'}
    template = {
        **DATABASE,
        "roles": [role],
        "deployment": "straight",
        "custom_attrs": {"Q": "O|text|x||y"},
        "networks": {"P": "M|network"},
    }
    hostile = {**image("x", "X"), "type": kind, "disks": ["img"], "roles": {"r": "img"}, "opennebula_template": template}
    for path in places(hostile)[1:]:
        for odd in ODD:
            changed = json.loads(json.dumps(hostile))
            inner = changed
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = odd
            found = opennebula.parse(json.dumps({"appliances": [changed, image("y", "Y")]}).encode(), "here", BASE)
            assert "y" in [one.id for one in found.appliances], (path, odd)
            for one in (*found.appliances, *found.skipped):
                json.dumps(one.view(), ensure_ascii=False).encode()


def test_what_runs_in_a_guest_is_taken_neither_here_nor_from_a_manifest() -> None:
    assert {f"CONTEXT/{name}" for name in RUN_BY_GUEST} | {"CONTEXT/TARGET", "CONTEXT/DEV_PREFIX"} == {
        name for name in REASONS if name.startswith("CONTEXT/")
    }
