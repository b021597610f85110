# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written for a guest is read there as the same, by Python's YAML and by libyaml."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from ansible_collections.edge.cloud.plugins.module_utils._compute.content.yaml_text import yaml_text
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from hypothesis import given, settings
from hypothesis import strategies as st

ODD = [
    "\U0001f680",
    "\U00020bb7野家",
    "Grüße ✓",
    "a\r\nb",
    "\x00\x1b\x7f\x80\x85\x9f\xa0",
    "\u2028\u2029",
    "\ufeffbom",
    "\ufffe\uffff",
    "\u2029",
]
ODD += ["x" * 5000, "no", "1e3", "~", "- a\n\tb: 'c' \"d\" #e", " lead", "trail \n", ""]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(ODD)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
LOADERS = [yaml.SafeLoader, yaml.CSafeLoader]


@given(values)
@settings(max_examples=200, deadline=None)
def test_every_reader_gets_what_was_written(data: Any) -> None:
    for loader in LOADERS:
        assert yaml.load(yaml_text(data, "x"), loader) == data


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_as_value_and_key(text: str) -> None:
    for loader in LOADERS:
        assert yaml.load("#cloud-config\n" + yaml_text({text: [text, {"a": text}]}, "x"), loader) == {text: [text, {"a": text}]}


def test_numbers_stay_numbers() -> None:
    numbers = [1e16, 1e-7, 1.5e300, -2.5e-9, 0.1, 10**40, math.inf, -math.inf]
    assert yaml.safe_load(yaml_text(numbers, "x")) == numbers
    assert math.isnan(yaml.safe_load(yaml_text([math.nan], "x"))[0])


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ({"a": ["\ud83d"]}, "x.a[0]"),
        ({"\udc80": 1}, "x"),
        ({"a": {1: 2}}, "x.a"),
        ({"a": b"bytes"}, "x.a"),
        ({"a": object()}, "x.a"),
    ],
)
def test_what_has_no_yaml_is_named(data: Any, where: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        yaml_text(data, "x")
    assert caught.value.details["option"] == where


def test_nesting_without_end_is_refused() -> None:
    data: list[Any] = []
    data.append(data)
    with pytest.raises(InvalidInput, match="deep"):
        yaml_text({"a": data}, "x")
