# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.domain.hotplug import SetText, live_steps
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import read_options
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.spec import DomainSpec
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.state import VmState, pending
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.resolve import resolve
from ansible_collections.edge.cloud.plugins.module_utils._compute.xml.domain import emit, parse, parse_xml
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from support.compute import host, spec


def made(options: dict[str, Any], before: DomainSpec | None = None) -> DomainSpec:
    return resolve(read_options({"name": "web", **options}), before, (), host()).spec


def test_texts_are_kept_changed_and_removed() -> None:
    first = made({"title": " The shop ", "description": "Runs\nthe shop.\n"})
    assert (first.title, first.description) == ("The shop", "Runs\nthe shop.")
    assert made({}, first) == first
    assert parse(emit(first)).spec == first
    gone = made({"title": "", "description": ""}, first)
    assert (gone.title, gone.description) == (None, None)
    assert emit(gone, base=emit(first)).find("title") is None


@pytest.mark.parametrize(
    "options", [{"title": "a\nb"}, {"title": "a" * 256}, {"title": "a\x01"}, {"description": "a" * 16385}, {"description": "\x00"}]
)
def test_texts_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=f"^{next(iter(options))}: it must be"):
        made(options)


def test_a_running_domain_takes_its_texts_at_once() -> None:
    live = spec(title="old", description="stays")
    state = VmState("web", run="running", config=replace(live, title=None, description="new"), live=live, marked=True)
    steps = live_steps(state)
    assert steps == (SetText("web", "title", None), SetText("web", "description", "new"))
    for step in steps:
        state = step.predict(state)
    assert pending(state) == []


def test_windows_has_local_time_and_enlightenments_and_both_go_again() -> None:
    linux, windows = spec(), spec(os="windows")
    root = emit(windows, base=emit(linux))
    assert root.find("clock").get("offset") == "localtime"  # type: ignore[union-attr]
    assert root.find("features/hyperv/spinlocks").get("retries") == "8191"  # type: ignore[union-attr]
    assert root.find("clock/timer[@name='hypervclock']") is not None
    assert parse(root).spec == windows
    back = emit(linux, base=root)
    assert back.find("features/hyperv") is None and back.find("clock/timer[@name='hypervclock']") is None
    assert back.find("clock").get("offset") == "utc" and parse(back).spec == linux  # type: ignore[union-attr]


def test_without_kvm_windows_has_the_clock_only() -> None:
    root = emit(spec(os="windows", virt_type="qemu"))
    assert root.find("features/hyperv") is None and parse(root).spec.os == "windows"


def test_features_of_the_cpu_are_the_whole_of_what_is_asked() -> None:
    first = made({"cpu": {"mode": "host-model", "features": ["vmx", "-svm"]}})
    root = emit(first)
    assert [(one.get("policy"), one.get("name")) for one in root.iterfind("cpu/feature")] == [
        ("disable", "svm"),
        ("require", "vmx"),
    ]
    assert parse(root).spec == first and made({}, first) == first
    gone = made({"cpu": {"mode": "host-model"}}, first)
    assert emit(gone, base=root).findall("cpu/feature") == []
    moved = made({"cpu": {"mode": "host-passthrough", "features": ["vmx"]}}, first)
    assert parse(emit(moved, base=root)).spec == moved
    for bad, place in ((["vmx", "-vmx"], 1), (["VMX"], 0), (["a b"], 0), (["--a"], 0)):
        with pytest.raises(InvalidInput, match=rf"^cpu\.features\[{place}\]: "):
            made({"cpu": {"mode": "host-model", "features": bad}})


FOREIGN = """<domain type="kvm"><name>web</name><uuid>6f1c3f4e-8f2d-5a53-9b7e-0c7b4c6d1e2f</uuid><memory>1048576</memory>
<vcpu>1</vcpu><os><type arch="x86_64" machine="pc-q35-7.2">hvm</type></os><title> two </title>
<features><hyperv mode="passthrough"/></features><clock offset="localtime"/></domain>"""


def test_a_clock_and_enlightenments_of_others_stay() -> None:
    base = parse_xml(FOREIGN)
    found = parse(base).spec
    root = emit(found, base=base)
    assert root.find("clock").get("offset") == "localtime" and root.find("features/hyperv") is not None  # type: ignore[union-attr]
    assert root.findtext("title") == " two "


def test_windows_keeps_the_enlightenments_that_others_gave_it() -> None:
    """A guest with a passed-through graphics card may need the name of a vendor, and others chose the rest for a reason, too."""
    theirs = (
        "<hyperv mode='custom'><relaxed state='on'/><spinlocks state='on' retries='4096'/><vendor_id state='on' value='vendor'/>"
        "<tlbflush state='on'/></hyperv>"
    )
    clock = "<clock offset='localtime'><timer name='hypervclock' present='no'/><timer name='tsc' mode='native'/></clock>"
    base = parse_xml(FOREIGN.replace('<hyperv mode="passthrough"/>', theirs).replace('<clock offset="localtime"/>', clock))
    found = parse(base).spec
    assert found.os == "linux"
    root = emit(made({"os": "windows"}, found), base=base)
    assert root.find("features/hyperv/vendor_id").get("value") == "vendor"  # type: ignore[union-attr]
    assert root.find("features/hyperv/tlbflush") is not None
    assert root.find("features/hyperv/spinlocks").get("retries") == "4096"  # type: ignore[union-attr]
    timers = [(one.get("name"), one.get("present")) for one in root.iterfind("clock/timer")]
    assert timers == [("hypervclock", "yes"), ("tsc", None)]
    assert parse(root).spec.os == "windows"
    back = emit(found, base=root)
    assert back.find("features/hyperv") is None, "what is left would need those that went"
