# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.edge.cloud.plugins.module_utils._compute.model.request import CloudInitOptions
from ansible_collections.edge.cloud.plugins.module_utils._compute.seed.content import make_context, make_seed
from ansible_collections.edge.cloud.plugins.module_utils._compute.seed.file import Seed, build_seed, read_digest
from ansible_collections.edge.cloud.plugins.module_utils._errors import CommandFailed, InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from support.runners import ScriptedRunner

UUID = "6f1c3f4e-8f2d-5a53-9b7e-0c7b4c6d1e2f"
OPTIONS: dict[str, Any] = {
    "user_data": {"packages": ["nginx"]},
    "ssh_authorized_keys": ("ssh-ed25519 AAAA admin",),
    "network_config": {"version": 2},
}


def seed_of(**options: Any) -> Seed:
    return make_seed(CloudInitOptions(**options), "web", UUID)


def files(options: dict[str, Any]) -> dict[str, str]:
    return dict(seed_of(**options).files)


def test_the_files_of_a_seed() -> None:
    found = files({**OPTIONS, "hostname": "www", "meta_data": {"region": "north"}, "vendor_data": "#!/bin/sh\n"})
    assert json.loads(found["meta-data"]) == {
        "instance-id": UUID,
        "local-hostname": "www",
        "public-keys": ["ssh-ed25519 AAAA admin"],
        "region": "north",
    }
    header, _any, body = found["user-data"].partition("\n")
    assert header == "#cloud-config"
    assert json.loads(body) == {"packages": ["nginx"]}
    assert json.loads(found["network-config"]) == {"version": 2}
    assert found["vendor-data"] == "#!/bin/sh\n"


def test_least_of_all() -> None:
    assert sorted(files({})) == ["meta-data", "user-data"]
    assert files({})["user-data"].startswith("#cloud-config\n")


def test_a_network_key_round_the_configuration_is_taken_off() -> None:
    assert json.loads(files({"network_config": {"network": {"version": 2}}})["network-config"]) == {"version": 2}


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"user_data": "packages: []"}, "cloud_init.user_data"),
        ({"user_data": ["a"]}, "cloud_init.user_data"),
        ({"vendor_data": "x"}, "cloud_init.vendor_data"),
        ({"network_config": {"ethernets": {}}}, "cloud_init.network_config"),
    ],
)
def test_bad_content_is_named(options: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{where}: "):
        files(options)


def test_the_order_of_keys_is_no_difference_but_a_value_is() -> None:
    one = seed_of(user_data={"a": 1, "b": 2})
    assert one.digest == seed_of(user_data={"b": 2, "a": 1}).digest
    assert one.digest != seed_of(user_data={"a": 1, "b": 3}).digest


def test_a_built_seed_names_its_content_and_has_the_same_bytes_again(tmp_path: Path) -> None:
    seed = seed_of(**OPTIONS)
    first, second = tmp_path / "1.iso", tmp_path / "2.iso"
    build_seed(seed, str(first), SubprocessRunner())
    build_seed(seed, str(second), SubprocessRunner())
    assert read_digest(str(first)) == seed.digest
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.iso", "2.iso"]


def test_cloud_init_finds_label_and_files(tmp_path: Path) -> None:
    seed = seed_of(**OPTIONS)
    path = tmp_path / "seed.iso"
    build_seed(seed, str(path), SubprocessRunner())
    assert path.read_bytes()[32768 + 40 : 32768 + 72].rstrip() == b"CIDATA"
    out = tmp_path / "out"
    subprocess.run(["xorriso", "-osirrox", "on", "-indev", path, "-extract", "/", out], check=True, capture_output=True)
    assert {one.name: one.read_text() for one in out.iterdir()} == dict(seed.files)


def test_the_guest_reads_every_character_as_it_was_written(tmp_path: Path) -> None:
    text = "Welcome \U0001f680 \u2028 \x85\r\n"
    script = "#include\r\nhttps://www.example/\r\n"
    seed = seed_of(user_data={"write_files": [{"content": text}]}, meta_data={"note": text}, vendor_data=script)
    path, out = tmp_path / "seed.iso", tmp_path / "out"
    build_seed(seed, str(path), SubprocessRunner())
    subprocess.run(["xorriso", "-osirrox", "on", "-indev", path, "-extract", "/", out], check=True, capture_output=True)
    found = {one.name: one.read_bytes() for one in out.iterdir()}
    assert yaml.safe_load(found["user-data"]) == {"write_files": [{"content": text}]}
    assert yaml.safe_load(found["meta-data"])["note"] == text
    assert found["vendor-data"] == script.encode()


def test_a_failed_build_leaves_the_old_seed(tmp_path: Path) -> None:
    path = tmp_path / "seed.iso"
    old = Seed((("meta-data", "old"),))
    build_seed(old, str(path), SubprocessRunner())

    class Failing(ScriptedRunner):
        def run(self, argv: Any, **rest: Any) -> Any:
            raise CommandFailed(argv, 5, "disk full")

    with pytest.raises(CommandFailed):
        build_seed(Seed((("meta-data", "new"),)), str(path), Failing())
    assert read_digest(str(path)) == old.digest
    assert [one.name for one in tmp_path.iterdir()] == ["seed.iso"]


@pytest.mark.parametrize("content", [b"", b"short", b"\0" * 40000])
def test_what_we_did_not_build_has_no_digest(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "seed.iso"
    path.write_bytes(content)
    assert read_digest(str(path)) is None
    assert read_digest(str(tmp_path / "none.iso")) is None


def test_a_context_disk_is_a_shell_file_of_variables() -> None:
    context = make_context({"NETWORK": True, "SSH_PUBLIC_KEY": "ssh-ed25519 A", "ETH0_IP": "192.0.2.9", "NOTE": "it's; $(here)"})
    (file,) = context.files
    assert file[0] == "context.sh" and context.volume == "CONTEXT"
    code = file[1] + 'printf "%s|%s|%s" "$NETWORK" "$ETH0_IP" "$NOTE"'
    output = subprocess.run(["sh", "-c", code], capture_output=True, text=True, check=True).stdout
    assert output == "YES|192.0.2.9|it's; $(here)"
    with pytest.raises(InvalidInput, match=r"^context\.a-b: this is not the name of a variable"):
        make_context({"a-b": 1})
