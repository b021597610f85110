# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.content.network_config import network_text
from ansible_collections.edge.cloud.plugins.module_utils._compute.content.user_data import is_cloud_config, user_data_text
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput

PART = 'Content-Type: {}; charset="utf-8"\n\n{}\n'
MIME = 'Content-Type: multipart/mixed; boundary="b"\nMIME-Version: 1.0\n\n--b\n' + PART + "--b--\n"
GOOD = [
    "#cloud-config\npackages: [nginx]\n",
    "#cloud-config\r\npackages:\r\n  - nginx\r\n",
    "#cloud-config\n",
    "#cloud-config # of the web servers\na: 1\n",
    "#cloud-config\nmotd: 'Welcome \U0001f680'\n",
    "#cloud-config-archive\n- type: text/cloud-config\n  content: 'a: 1'\n",
    "#cloud-config-jsonp\n[]\n",
    "#!/bin/sh\necho \x1b[1m\n",
    "#! /usr/bin/env python3\n",
    "#cloud-boothook\n#!/bin/sh\n",
    "#include\nhttps://www.example/a\n# one more\n\nhttps://www.example/b\n",
    "#include-once https://www.example/a\r\n",
    "#part-handler\nimport os\n",
    "## template: jinja\n#cloud-config\na: {{ v1.region }}\n",
    MIME.format("text/cloud-config", "a: 1"),
    MIME.format("text/x-shellscript", "#!/bin/sh\necho"),
    MIME.format("text/plain", "a note"),
]
BAD = [
    ("packages: [nginx]\n", "a text must begin with #cloud-config"),
    ("#cloud-configuration\na: 1\n", "a text must begin with"),
    ("# cloud-config\na: 1\n", "a text must begin with"),
    ("\ufeff#cloud-config\na: 1\n", "a text must begin with"),
    ("", "a text must begin with"),
    ("#cloud-config\na: [1\nb: 2\n", "cannot read it as YAML: .*line 3"),
    ("#cloud-config\na: 1\n\tb: 2\n", "cannot read it as YAML"),
    ("#cloud-config\na: 2026-13-45\n", "cannot read it as YAML"),
    ("#cloud-config\n- a\n", "a list was found"),
    ("#cloud-config\nwords\n", "a str was found"),
    ("#cloud-config\na: 1\n---\nb: 1\n", "cannot read it as YAML"),
    ("#cloud-config\na: 'x\x07'\n", r"line 2 has the character U\+0007"),
    ("#cloud-config\na: 'x\x85\x80'\n", r"U\+0080"),
    ("#cloud-config\na: '\0'\n", "NUL"),
    ("#!/bin/sh\necho \0\n", "NUL"),
    ("#cloud-config\na: '\ud83d'\n", "surrogate"),
    ("#!/bin/sh\necho \udc80\n", "surrogate"),
    ("#!/bin/sh\r\necho\r\n", "CRLF"),
    ("#cloud-boothook\n#!/bin/sh\r\necho\n", "CRLF"),
    ("#!sh\n", "path of its interpreter"),
    ("#include\nnot a url\n", "URLs"),
    ("#include\n", "URLs"),
    ("#cloud-config-archive\na: 1\n", "a list of parts"),
    ("## template: mako\n#cloud-config\n", "jinja"),
    ("## template: jinja\na: 1\n", "second line"),
    ("## template: jinja\n#!/bin/sh\r\n", "CRLF"),
    ("Content-Type: text/cloud-config\n\na: 1\n", "MIME-Version"),
    (MIME.format("text/cloud-config", "a: [1"), "part 1: cloud-init cannot read it as YAML"),
    (MIME.format("text/x-shellscript", "echo"), "part 1: a script begins"),
    ('Content-Type: multipart/mixed; boundary="b"\nMIME-Version: 1.0\n\nnothing\n', "no part"),
    (["a"], "a dictionary or a text"),
    (1, "a dictionary or a text"),
    (True, "a dictionary or a text"),
]


@pytest.mark.parametrize("text", GOOD)
def test_what_cloud_init_reads_is_passed_on_as_it_is(text: str) -> None:
    assert user_data_text(text, "cloud_init.user_data") == text


@pytest.mark.parametrize(("text", "says"), BAD)
def test_what_cloud_init_would_not_read_is_refused(text: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=f"^cloud_init.user_data: .*{says}") as caught:
        user_data_text(text, "cloud_init.user_data")
    assert caught.value.details == {"option": "cloud_init.user_data"}


@pytest.mark.parametrize("line", ["a: *hunter22", "a: !hunter22 x", 'a: "hunter22\n', "a: {hunter22", "hunter22: 'a' b"])
def test_an_error_shows_nothing_that_could_be_a_password(line: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        user_data_text(f"#cloud-config\n{line}\n", "cloud_init.user_data")
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ({"write_files": [{"path": "/a", "permissions": 0o644}]}, "write_files[0].permissions"),
        ({"users": [{"name": "a", "plain_text_passwd": 83}]}, "users[0].plain_text_passwd"),
        ({"keyboard": {"layout": False}}, "keyboard.layout"),
        ({"hostname": 1e10}, "hostname"),
        ({"chpasswd": {"users": [{"name": "a", "password": True}]}}, "chpasswd.users[0].password"),
    ],
)
def test_texts_that_yaml_has_read_as_numbers_are_to_be_quoted(data: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidInput, match="put it in quotes") as caught:
        user_data_text(data, "cloud_init.user_data")
    assert caught.value.details["option"] == f"cloud_init.user_data.{where}"


@pytest.mark.parametrize(
    ("item", "where"),
    [
        ({"match": {"macaddress": 41135085296}}, "match.macaddress"),
        ({"addresses": ["192.0.2.1/24", 10.1]}, "addresses"),
        ({"routes": [{"to": "default", "via": 5}]}, "routes[0].via"),
    ],
)
def test_addresses_that_yaml_has_read_as_numbers(item: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidInput, match="put it in quotes") as caught:
        network_text({"version": 2, "ethernets": {"lan": item}})
    assert caught.value.details["option"] == f"cloud_init.network_config.ethernets.lan.{where}"


@pytest.mark.parametrize("version", [True, "2", 3, None, 2.5])
def test_the_version_of_a_network_configuration(version: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^cloud_init\.network_config: "):
        network_text({"version": version})


def test_which_texts_have_a_schema() -> None:
    assert is_cloud_config("#cloud-config\na: 1\n") and is_cloud_config(user_data_text({"a": 1}, "x"))
    assert not any(map(is_cloud_config, ("#cloud-config-archive\n", "#!/bin/sh\n", "## template: jinja\n#cloud-config\n", "")))
