# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of users appear in no message, result or log."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._compute.options.argument_spec import DOMAIN
from ansible_collections.edge.cloud.plugins.module_utils._errors import CommandFailed, NotFound
from ansible_collections.edge.cloud.plugins.module_utils._secrets import (
    HIDDEN,
    public_url,
    shown_options,
    shown_url,
    spellings,
    without_secrets,
    without_settings,
    without_words,
)

CANARY = "c4n4ry"
URLS = [
    f"https://{CANARY}@host.example/a",
    f"https://user:{CANARY}@host.example:8443/a?b=c",
    f"https://user:x/{CANARY}@host.example/a",
    f"https://user:x?{CANARY}@host.example/a",
    f"https://bucket.s3.example/a.qcow2?X-Amz-Credential={CANARY}&X-Amz-Signature={CANARY}",
    f"https://storage.example/b/a?GoogleAccessId=a@b.example&Signature={CANARY}%3D",
    f"https://account.blob.example/a.qcow2?sv=2024&sig={CANARY}=",
    f"qemu+ssh://root:{CANARY}@host.example/system",
    f"https://host.example/a#{CANARY}",
]


@pytest.mark.parametrize("url", URLS)
def test_a_url_gives_nobody_access(url: str) -> None:
    for text in (f"The download of {url} failed.", f"{url}: no answer", f"see '{url}', then ({url}).", url):
        shown = without_secrets(text)
        assert CANARY not in shown
        assert "example" in shown
    assert CANARY not in public_url(url) + shown_url(url)
    assert public_url(url).endswith(("example/a", "example/a.qcow2", "example/b/a", "8443/a", "/system"))
    assert CANARY not in repr(NotFound(f"{url} is not there.", url=url, more=[{"a": url}]).as_result())
    assert CANARY not in repr(CommandFailed(["curl", url], 1, f"curl: {url}").as_result())


@pytest.mark.parametrize(
    "text", ["https://host.example:8443/a@b", "is it https://host.example?", "a?b@c", "https://[2001:db8::1]:80/x"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


SHOWN: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"cloud_init": {"user_data": {"password": CANARY}, "hostname": "a"}}, {"cloud_init": {"user_data": HIDDEN, "hostname": "a"}}),
    ({"cloud_init": {"userdata": CANARY}}, {"cloud_init": {"userdata": HIDDEN}}),
    ({"cloud_init": f"user_data={CANARY}"}, {"cloud_init": HIDDEN}),
    ({"cloud_init": {"network_config": {"wifis": {"a": CANARY}}}}, {"cloud_init": {"network_config": {"wifis": HIDDEN}}}),
    ({"context": {"PASSWORD": CANARY, "N": 1}}, {"context": {"PASSWORD": HIDDEN, "N": HIDDEN}}),
    ({"xml_override": f"<domain a='{CANARY}'/>"}, {"xml_override": HIDDEN}),
    ({"contxt": {"PASSWORD": CANARY}}, {"contxt": HIDDEN}),
    ({"rng": True, "vcpus": 2, "memory": None, "name": "a"}, {"rng": True, "vcpus": 2, "memory": None, "name": "a"}),
    ({"disks": [{"name": "root", "limits": {"read_iops": 1}}]}, {"disks": [{"name": "root", "limits": {"read_iops": 1}}]}),
]


@pytest.mark.parametrize(("options", "shown"), SHOWN)
def test_options_are_shown_without_free_values(options: dict[str, Any], shown: dict[str, Any]) -> None:
    assert shown_options(options, DOMAIN) == shown


@pytest.mark.parametrize(("options", "_shown"), SHOWN)
def test_options_of_many_domains_too(options: dict[str, Any], _shown: dict[str, Any]) -> None:
    spec = {"domains": {"type": "list", "elements": "dict"}, "defaults": {"type": "dict"}}
    whole = {"domains": [options], "defaults": options}
    assert CANARY not in repr(shown_options(whole, spec, {"domains": DOMAIN, "defaults": DOMAIN}))
    assert CANARY not in repr(shown_options({"domains": [str(options)], "defaults": str(options)}, spec, {"domains": DOMAIN}))


def test_a_proxy_without_a_scheme_has_secrets_too() -> None:
    spec = {"proxy": {"type": "str"}}
    assert shown_options({"proxy": f"me:{CANARY}@proxy.example:3128"}, spec) == {"proxy": f"{HIDDEN}@proxy.example:3128"}


def test_a_secret_is_known_as_xml_writes_it_too() -> None:
    assert spellings("abc", "", None, 7) == {"abc"}
    assert spellings("a&'\"") == {"a&'\"", "a&amp;'\"", "a&amp;'&quot;", "a&amp;&apos;&quot;"}


def test_a_short_secret_is_hidden_where_it_stands_alone() -> None:
    assert without_words("passwd='x' in example.xml, not x", ["x", None]) == "passwd='********' in example.xml, not ********"
    assert without_words('<a b="a&amp;b"/> a&b', ["a&b"]) == '<a b="********"/> ********'


ODD = ["?", "#", " ", "\t", "/", ":", "@", "'", '"', "<", ">", "\\", "[", "]", "ü", "%20", ",", "(", ")", "$", "443/", "&", "="]


@pytest.mark.parametrize("odd", ODD)
def test_a_url_is_shown_without_its_secret_whatever_that_has(odd: str) -> None:
    for secret in (f"c4n4ry{odd}x", f"x{odd}c4n4ry", f"x{odd}c4n4ry{odd}{odd}"):
        for url in (
            f"https://u:{secret}@x.example:8443/a",
            f"HTTPS://u:{secret}@x.example/a?b#c",
            f"sha256:https://u:{secret}@x.example/SHA256SUMS",
            f"https://x.example/a?sig={secret}",
            f"https://x.example:8443/a?x=1&sig={secret}#y",
            f"https://x.example/a#{secret}",
        ):
            assert "c4n4ry" not in shown_url(url)
            assert "c4n4ry" not in shown_options({"source": url}, {"source": {}})["source"]
            assert "x.example" in shown_url(url)


NETPLAN = f"""network:
  ethernets:
    eth0:
      addresses: [192.0.2.10/24]
      auth:
        key-management: 802.1x
        password: "{CANARY}"
        client-key-password: {CANARY}
  wifis:
    wlan0:
      access-points:
        "shop": {{password: '{CANARY}', mode: infrastructure}}
        "home":
          "password": |
            {CANARY}
              {CANARY}
          band: 5GHz
  tunnels:
    wg0:
      mode: wireguard
      keys:
        private: {CANARY}
      key:
        {CANARY}
      peers:
        - shared: {CANARY}
          keys: {{public: x, shared: {CANARY}}}
  version: 2
"""
IFUPDOWN = f"""auto eth0
iface eth0 inet static
    address 192.0.2.10/24
    wpa-psk {CANARY}
    WPA-PASSPHRASE {CANARY}
    wireless-key1 s:{CANARY}
    wpa-password \\
{CANARY} \\
 {CANARY}
    up wg set wg0 private-key {CANARY} listen-port 51820
    up curl https://user:{CANARY}@host.example/up
#edge-uplink br0#     wpa-psk {CANARY}
    mtu 1400
"""
NETWORKD = f"""[WireGuard]
PrivateKey={CANARY}
ListenPort=51820
[WireGuardPeer]
PresharedKey = {CANARY}
[MACsecTransmitAssociation]
Key={CANARY}
[Network]
Address=192.0.2.10/24
IPv6PrivacyExtensions=yes
"""


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            NETPLAN,
            ["      addresses: [192.0.2.10/24]", "          band: 5GHz", "      mode: wireguard", "      peers:", "  version: 2"],
        ),
        (IFUPDOWN, ["    address 192.0.2.10/24", "    mtu 1400"]),
        (NETWORKD, ["ListenPort=51820", "Address=192.0.2.10/24", "IPv6PrivacyExtensions=yes"]),
    ],
)
def test_a_configuration_file_shows_no_password_or_key_and_all_else(text: str, kept: list[str]) -> None:
    shown = without_settings(text)
    assert CANARY not in shown
    assert set(kept) <= set(shown.splitlines())
    assert len(shown.splitlines()) == len(text.splitlines())
    assert without_settings(shown) == shown


def test_a_file_without_secrets_is_shown_as_it_is() -> None:
    text = "network:\n  ethernets:\n    eth0:\n      dhcp4: true\n      nameservers:\n        addresses: [192.0.2.1]\n\n"
    assert without_settings(text) == text
