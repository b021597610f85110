# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers to user inputs, checked, and what a template's context becomes with them.

No error has an answer in it: any of them can be a secret.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .._errors import InvalidInput
from .model import LONGEST_TEXT, TEXT, UserInput, Value, VmTemplate

LONGEST_CONTEXT = 2**20
DEEPEST = 32
WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,9})?")
YES, NO = ("yes", "true"), ("no", "false")
SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|PASSPHRASE|SECRET)(_BASE64|_HASH)?$")
KEY = re.compile(r"(ssh-(rsa|dss|ed25519)|ecdsa-sha2-[a-z0-9]+|sk-(ssh|ecdsa)-[a-z0-9@.-]+)\s+AAAA")
RUN_BY_GUEST = frozenset(
    {
        "FILES", "FILES_DS", "INIT_SCRIPTS", "START_SCRIPT", "START_SCRIPT_BASE64", "USER_DATA", "USERDATA", "USER_DATA_ENCODING",
        "USERDATA_ENCODING",
    }
)  # fmt: skip


def published_secret(name: str, text: str) -> str | None:
    """Return why a text of a template is a password or SSH key that everybody who reads the template knows, or has."""
    if SECRET_NAME.search(name) and text:
        return "a password that the catalogue publishes is not secret; give one of your own"
    if KEY.search(text):
        return "an SSH key of the catalogue would let its owner in; give your own"
    return None


def answer(one: UserInput, given: Any, where: str) -> str:
    """Return what an input becomes by what was given; raise InvalidInput where it does not fit its type."""
    if isinstance(given, list) and one.type == "list-multiple":
        given = ",".join(str(item) for item in given)
    if isinstance(given, bool):
        given = "YES" if given else "NO"
    if not isinstance(given, str | int | float):
        raise _wrong(one, where, "a text or a number")
    text = str(given)
    if len(text) > LONGEST_TEXT or not TEXT.fullmatch(text):
        raise _wrong(one, where, f"a text of up to {LONGEST_TEXT} printable characters")
    if one.type == "text64":
        return base64.b64encode(text.encode()).decode()
    check = CHECKS.get(one.type)
    return check(one, text, where) if check else text


def _wrong(one: UserInput, where: str, expected: str) -> InvalidInput:
    asked = f" ({one.text})" if one.text else ""
    return InvalidInput(f"{where}: {expected} is expected{asked}.", option=where)


def _number(one: UserInput, text: str, where: str) -> str:
    whole = one.type in ("number", "range")
    if not (WHOLE if whole else DECIMAL).fullmatch(text.strip()):
        raise _wrong(one, where, "a whole number" if whole else "a number")
    number = Decimal(text.strip())
    low, high = one.minimum, one.maximum
    if (low is not None and number < Decimal(low)) or (high is not None and number > Decimal(high)):
        raise _wrong(one, where, f"a number from {low} to {high}")
    return text.strip()


def _boolean(one: UserInput, text: str, where: str) -> str:
    word = text.strip().lower()
    if word not in (*YES, *NO):
        raise _wrong(one, where, "YES or NO")
    return "YES" if word in YES else "NO"


def _choice(one: UserInput, text: str, where: str) -> str:
    items = text.split(",") if one.type == "list-multiple" else [text]
    if any(item not in one.choices for item in items):
        several = "some of" if one.type == "list-multiple" else "one of"
        raise _wrong(one, where, f"{several} {', '.join(one.choices)}")
    return text


def _fixed(one: UserInput, text: str, where: str) -> str:
    if one.default is None or text != "".join(part.text for part in one.default):
        raise InvalidInput(f"{where}: its value is fixed by the image; leave it out.", option=where)
    return text


CHECKS: Mapping[str, Callable[[UserInput, str, str], str]] = {
    "number": _number,
    "number-float": _number,
    "range": _number,
    "range-float": _number,
    "boolean": _boolean,
    "list": _choice,
    "list-multiple": _choice,
    "fixed": _fixed,
}


@dataclass
class Answers:
    """What each variable of a template is, by what was given for the user inputs; ``facts`` are those of the VM."""

    template: VmTemplate
    given: Mapping[str, str]
    facts: Mapping[str, str]
    _known: dict[str, str] = field(default_factory=dict)
    _depth: int = 0

    def variable(self, name: str) -> str:
        """Return a variable: the answer, else the template's value of it, else the default; the empty text without any."""
        if name not in self._known:
            self._known[name] = ""  # where it is asked for while it is made: a variable that is made of itself
            value = next((one.default for one in self.template.inputs if one.name == name), None)
            value = next((value for key, value in self.template.values if key == name), value)
            self._known[name] = self.given[name] if name in self.given else self._expanded(value or (), name)
        return self._known[name]

    def _expanded(self, value: Value, name: str) -> str:
        if self._depth == DEEPEST:
            raise InvalidInput(f"The image's template makes {name} of variables that are made of others, over {DEEPEST} times.")
        self._depth += 1
        text = self.expand(value, name)
        self._depth -= 1
        return text

    def expand(self, value: Value, where: str) -> str:
        """Return the text of a value."""
        text = ""
        for part in value:
            text += self._part(part.kind, part.text)
            if len(text) > LONGEST_TEXT:
                raise InvalidInput(f"The image's template makes more than {LONGEST_TEXT} characters of {where}.")
        return text

    def _part(self, kind: str, text: str) -> str:
        if kind == "input":
            return self.variable(text)
        return text if kind == "text" else self.facts.get(text, "") if kind == "fact" else ""

    def context(self, said: Collection[str] = ()) -> dict[str, str]:
        """Return the context except for the variables that are ``given`` otherwise; one of which nothing is known is left out.

        No digest proves a template: raise InvalidInput for what it would have run in the guest or who it would let in.
        """
        context = [(name, value) for name, value in self.template.context if name not in said]
        published = Answers(self.template, dict.fromkeys(self.given, ""), {})
        for name, value in context:
            runs = "the guest would run what it says" if name in RUN_BY_GUEST and value else None
            if reason := runs or published_secret(name, published.expand(value, name)):
                raise InvalidInput(f"The image's template has {name}: {reason}; say context.{name}, or null to leave it out.")
        made = {name: self.expand(value, name) for name, value in context}
        found = {name: made[name] for name, value in context if made[name] or not value}
        if sum(len(text) for text in found.values()) > LONGEST_CONTEXT:
            raise InvalidInput(f"The image's template makes a context of more than {LONGEST_CONTEXT} characters.")
        return found


def answers_to(
    template: VmTemplate, given: Mapping[str, Any], facts: Mapping[str, str], option: str, said: Collection[str] = ()
) -> Answers:
    """Return what a template's variables are by what was given for them (None counts as nothing); ``option`` has it.

    ``said`` are variables of the context that are said otherwise, which answers the inputs of the same names.
    Raise InvalidInput where a mandatory input has neither answer nor default, and for what is not asked.
    """
    inputs = {one.name: one for one in template.inputs}
    parts = [part for _name, value in (*template.context, *template.values) for part in value]
    parts += [part for one in template.inputs for part in one.default or ()]
    known = {**{part.text: UserInput(part.text) for part in parts if part.kind == "input"}, **inputs}
    unknown = sorted(str(name) for name in given if name not in known)
    if unknown:
        has = ", ".join(sorted(known)) or "none"
        raise InvalidInput(f"{option}.{unknown[0]}: the image has no input of this name (it has: {has}).", option=option)
    found = {name: answer(known[name], value, f"{option}.{name}") for name, value in given.items() if value is not None}
    missing = [one for one in template.inputs if one.mandatory and one.default is None and not found.get(one.name)]
    missing = [one for one in missing if one.name not in dict(template.values) and one.name not in said]
    if missing:
        listed = "; ".join(f"{one.name} ({one.text or one.type})" for one in missing)
        raise InvalidInput(
            f"{option}: the image needs {listed}; give a value for each.", option=option, missing=[one.name for one in missing]
        )
    return Answers(template, found, facts)
