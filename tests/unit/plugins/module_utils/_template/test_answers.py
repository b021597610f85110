# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers to user inputs, and the JSON of templates from any host."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._template import json_form
from ansible_collections.edge.cloud.plugins.module_utils._template.answers import answers_to
from ansible_collections.edge.cloud.plugins.module_utils._template.model import Part, UserInput, Value, VmTemplate, literal
from hypothesis import given
from hypothesis import strategies as st

FACTS = {"name": "web", "ssh_public_keys": ""}


def ask(*names: str) -> Value:
    return tuple(Part("input", name) for name in names)


def context(template: VmTemplate, **given: Any) -> dict[str, str]:
    return answers_to(template, given, FACTS, "user_inputs").context()


def one(**fields: Any) -> VmTemplate:
    return VmTemplate(context=(("A", ask("A")),), inputs=(UserInput("A", **fields),))


@pytest.mark.parametrize(
    ("fields", "given", "expected"),
    [
        ({}, "x\ny", "x\ny"),
        ({}, 7, "7"),
        ({"type": "number"}, " 42 ", "42"),
        ({"type": "number"}, -1, "-1"),
        ({"type": "number-float"}, 0.25, "0.25"),
        ({"type": "range", "minimum": "1", "maximum": "9"}, 9, "9"),
        ({"type": "range-float", "minimum": "0.5", "maximum": "1.5"}, "0.5", "0.5"),
        ({"type": "boolean"}, True, "YES"),
        ({"type": "boolean"}, "no", "NO"),
        ({"type": "list", "choices": ("a", "b")}, "b", "b"),
        ({"type": "list-multiple", "choices": ("a", "b")}, ["a", "b"], "a,b"),
        ({"type": "list-multiple", "choices": ("a", "b")}, "b,a", "b,a"),
        ({"type": "password"}, "pa'ss $A ${A}", "pa'ss $A ${A}"),
        ({"type": "text64"}, "é\n", base64.b64encode("é\n".encode()).decode()),
        ({"type": "fixed", "default": literal("x")}, "x", "x"),
        ({"type": "of a newer version"}, "x", "x"),
    ],
)
def test_what_fits_is_taken_as_it_is(fields: dict[str, Any], given: Any, expected: str) -> None:
    assert context(one(**fields), A=given) == {"A": expected}


@pytest.mark.parametrize(
    ("fields", "given"),
    [
        ({}, "\x00"), ({}, ["a"]), ({}, {"a": 1}), ({}, "x" * 20_000), ({"type": "number"}, "0x10"), ({"type": "number"}, "1.5"),
        ({"type": "number"}, "²"), ({"type": "number-float"}, "nan"), ({"type": "number-float"}, "1e9"),
        ({"type": "range", "minimum": "1", "maximum": "9"}, 10), ({"type": "range", "minimum": "1", "maximum": "9"}, 0),
        ({"type": "boolean"}, "maybe"), ({"type": "list", "choices": ("a", "b")}, "c"), ({"type": "list"}, ["a"]),
        ({"type": "list-multiple", "choices": ("a", "b")}, "a,c"), ({"type": "fixed", "default": literal("x")}, "y"),
        ({"type": "password"}, "opensesame\x07"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_not_repeated(fields: dict[str, Any], given: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        context(one(text="The question", **fields), A=given)
    assert refused.value.message.startswith("user_inputs.A: ")
    assert "opensesame" not in str(refused.value.as_result())


def test_all_mandatory_inputs_without_an_answer_are_named_with_their_texts() -> None:
    inputs = (
        UserInput("DB", "text", True, "Name of the database"), UserInput("PW", "password", True, "Its password"),
        UserInput("PORT", "number", True, "Port", literal("80")), UserInput("NOTE", "text", False, "A note"),
        UserInput("SAID", "text", True, "Said by the role"),
    )  # fmt: skip
    template = VmTemplate(inputs=inputs, values=(("SAID", literal("x")),))
    for answers in ({}, {"DB": None}, {"DB": "", "PW": ""}):
        with pytest.raises(InvalidInput, match=r"needs DB \(Name of the database\); PW \(Its password\); give") as refused:
            answers_to(template, answers, FACTS, "user_inputs")
        assert refused.value.details["missing"] == ["DB", "PW"]
    assert answers_to(template, {"DB": "a", "PW": "b"}, FACTS, "user_inputs").variable("PORT") == "80"
    with pytest.raises(InvalidInput, match=r"user_inputs.PROT: .*no input of this name \(it has: DB, NOTE, PORT, PW, SAID\)"):
        answers_to(template, {"DB": "a", "PW": "b", "PROT": 1}, FACTS, "user_inputs")


def test_the_context_has_what_is_known() -> None:
    template = VmTemplate(
        context=(
            ("NETWORK", literal("YES")), ("EMPTY", ()), ("HOST", (Part("fact", "name"),)),
            ("KEY", (Part("fact", "ssh_public_keys"),)),
            ("URL", (Part("text", "tcp://"), Part("input", "HOST"), Part("text", ":"), Part("input", "PORT"))),
            ("GW", ask("FALLBACK_GW")), ("UNKNOWN", ask("NOBODY_SAYS")),
        ),
        values=(("FALLBACK_GW", (Part("role", "router", 1),)), ("HOST", literal("db"))),
        inputs=(UserInput("PORT", "number", default=literal("80")), UserInput("HOST", default=literal("localhost"))),
    )  # fmt: skip
    assert context(template) == {"NETWORK": "YES", "EMPTY": "", "HOST": "web", "URL": "tcp://db:80"}
    said = context(template, PORT=81, FALLBACK_GW="192.0.2.1", NOBODY_SAYS="x", HOST="$PORT")
    assert (said["URL"], said["GW"], said["UNKNOWN"]) == ("tcp://$PORT:81", "192.0.2.1", "x"), (
        "an answer is never read as a reference"
    )


def test_variables_that_are_made_of_each_other_end() -> None:
    assert context(VmTemplate(context=(("A", ask("A")),), values=(("A", ask("B")), ("B", ask("A", "A"))))) == {}
    doubling = tuple((f"A{at}", ask(f"A{at + 1}", f"A{at + 1}")) for at in range(30))
    for values in (doubling, tuple((f"A{at}", ask(f"A{at + 1}")) for at in range(900))):
        with pytest.raises(InvalidInput, match="The image's template makes"):
            context(VmTemplate(context=(("A", ask("A0")),), values=(*values, ("A30", literal("x" * 99)))))
    wide = VmTemplate(context=tuple((f"C{at}", ask("A")) for at in range(200)), values=(("A", literal("x" * 16_000)),))
    with pytest.raises(InvalidInput, match="a context of more than"):
        context(wide)


KEY = "AAAAC3NzaC1lZDI1NTE5 evil"


@pytest.mark.parametrize(
    ("template", "variable"),
    [
        (VmTemplate(context=(("PASSWORD", literal("known")),)), "PASSWORD"),
        (VmTemplate(context=(("PASSWORD_BASE64", ask("PW")),), values=(("PW", literal("known")),)), "PASSWORD_BASE64"),
        (VmTemplate(context=(("DB_PASSWORD", ask("PW")),), inputs=(UserInput("PW", default=literal("known")),)), "DB_PASSWORD"),
        (VmTemplate(context=(("SSH_PUBLIC_KEY", literal(f"ssh-ed25519 {KEY}")),)), "SSH_PUBLIC_KEY"),
        (VmTemplate(context=(("K", (*ask("T"), *literal(f" {KEY}"))),), values=(("T", literal("ssh-ed25519")),)), "K"),
        (VmTemplate(context=(("START_SCRIPT", literal("reboot")),)), "START_SCRIPT"),
        (VmTemplate(context=(("USER_DATA", ask("COLOUR")),), inputs=(UserInput("COLOUR"),)), "USER_DATA"),
    ],
)
def test_a_template_of_anybody_lets_nobody_in_and_runs_nothing(template: VmTemplate, variable: str) -> None:
    """No digest proves it, and what a catalogue's reader refuses may come by a manifest, or in two halves."""
    colour = {"COLOUR": "blue"} if "COLOUR" in str(template) else {}
    for answered in ({}, colour):
        answers = answers_to(template, answered, FACTS, "user_inputs")
        with pytest.raises(InvalidInput, match=f"template has {variable}: .*say context.{variable}, or null"):
            answers.context()
        assert answers.context({variable: None}) == {}


def test_secrets_that_the_user_gives_are_given() -> None:
    template = VmTemplate(
        context=(("PASSWORD", ask("PW")), ("SSH_PUBLIC_KEY", (Part("fact", "ssh_public_keys"), *literal("\n"), *ask("MORE")))),
        inputs=(UserInput("PW", default=literal("known")), UserInput("MORE", default=literal(f"ssh-ed25519 {KEY}"))),
    )
    facts = {**FACTS, "ssh_public_keys": f"ssh-ed25519 {KEY}"}
    found = answers_to(template, {"PW": "mine", "MORE": f"ssh-rsa {KEY}"}, facts, "user_inputs").context()
    assert found == {"PASSWORD": "mine", "SSH_PUBLIC_KEY": f"ssh-ed25519 {KEY}\nssh-rsa {KEY}"}


VM = json_form.to_json(one())


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "service"}, {"memory": 1}, {"memory": True}, {"memory": 2**60}, {"vcpus": 0}, {"cpu": 0}, {"cpu": "1"},
        {"firmware": 7}, {"context": []}, {"context": {"a b": "x"}}, {"context": {"A": 7}}, {"context": {"A": [{"code": "x"}]}},
        {"context": {"A": [{"input": "a b"}]}}, {"context": {"A": "\x00"}}, {"context": {"A": [{"role": "r", "nic": -1}]}},
        {"context": {f"A{at}": "" for at in range(2000)}}, {"inputs": {}}, {"inputs": [{}]}, {"inputs": [7]},
        {"inputs": [{"name": "A", "choices": [7]}]}, {"disks": [{"name": 7}]}, {"disks": [{"size": 0}]}, {"nics": [{"address": 7}]},
        {"disks": [{"appliance": "x"}]}, {"dropped": [{"reason": 1}]},
    ],
)  # fmt: skip
def test_a_manifests_template_that_is_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="the template"):
        json_form.vm_of({**VM, **change}, "the template")


def test_what_a_newer_version_added_is_ignored() -> None:
    newer = {**VM, "gpu": 1, "firmware": "coreboot", "inputs": [{**VM["inputs"][0], "hint": "x", "type": "colour"}]}
    found = json_form.vm_of(newer, "it")
    assert (found.firmware, found.inputs[0].type) == (None, "colour")


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda x: st.lists(x, max_size=3) | st.dictionaries(
    st.sampled_from(["kind", "context", "inputs", "disks", "name", "A"]), x, max_size=4), max_leaves=10))  # fmt: skip
def test_any_json_is_a_template_or_refused(data: Any) -> None:
    for read in (json_form.vm_of, json_form.service_of):
        for kind in ("vm", "service"):
            try:
                found = read({**data, "kind": kind} if isinstance(data, dict) else data, "it")
            except InvalidInput:
                continue
            assert read(json_form.to_json(found), "it") == found
