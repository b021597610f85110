# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.content.ssh_keys import check_keys
from ansible_collections.edge.cloud.plugins.module_utils._compute.content.user_data import user_data_text
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput

DATA = "AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExample"
KEY = f"ssh-ed25519 {DATA}"
SECRET = "b3BlbnNzaC1rZXktdjEAAAAA"


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        f"{KEY} admin@frontend.example\n",
        f"ssh-rsa {DATA}==",
        f"ecdsa-sha2-nistp256 {DATA}",
        f"sk-ssh-ed25519@openssh.com {DATA} token",
        f"sk-ecdsa-sha2-nistp256@openssh.com {DATA}",
        f"ssh-ed25519-cert-v01@openssh.com {DATA}",
        f'from="192.0.2.0/24",command="echo a b",no-pty {KEY} backup',
        f"# two admins\n{KEY} a\r\n\n{KEY} b\n",
    ],
)
def test_what_a_file_of_keys_may_have(key: str) -> None:
    check_keys([key], "keys")
    assert user_data_text({"users": [{"name": "a", "ssh_authorized_keys": [key]}]}, "data")


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "has no key"),
        (" \n# nobody\n", "has no key"),
        (None, "has no key"),
        ("None", "not a public SSH key"),
        ("admin", "not a public SSH key"),
        ("~/.ssh/id_ed25519.pub", "path of a file"),
        ("/root/.ssh/id_rsa.pub", "path of a file"),
        (DATA, "not a public SSH key"),
        (f"ssh-ed25519 {DATA[9:]}", "not a public SSH key"),
        (f"{KEY} a\nadmin", "not a public SSH key"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----", "not a public SSH key"),
        (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----\n", "it is a private key"),
        (f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}", "it is a private key"),
    ],
)
@pytest.mark.parametrize("name", ["ssh_authorized_keys", "ssh-authorized-keys"])
def test_what_nobody_could_log_in_with(key: Any, says: str, name: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        check_keys((KEY, key), "keys")
    assert caught.value.details["option"] == "keys[1]"
    assert SECRET not in str(caught.value)
    with pytest.raises(InvalidInput, match=says) as caught:
        user_data_text({"users": ["default", {"name": "a", name: [key]}]}, "data")
    assert caught.value.details["option"] == f"data.users[1].{name}[0]"
