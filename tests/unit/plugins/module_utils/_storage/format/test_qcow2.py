# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The qcow2 header parser: what the real qemu-img makes is read, what an attacker makes is refused, nothing makes it fall over."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import Corrupt, EdgeError, Refused, Unsupported
from ansible_collections.edge.cloud.plugins.module_utils._storage.format import qcow2
from hypothesis import given
from hypothesis import strategies as st
from support.examples import times
from support.images import qemu_img


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("plain") / "plain.qcow2"
    qemu_img("create", "-f", "qcow2", path, "1G")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("options", "cluster"),
    [
        ((), 65536), (("-o", "compat=0.10"), 65536), (("-o", "cluster_size=512"), 512), (("-o", "cluster_size=2M"), 2 * 1024**2),
        (("-o", "extended_l2=on"), 65536), (("-o", "compression_type=zstd"), 65536), (("-o", "preallocation=metadata"), 65536),
        (("-o", "lazy_refcounts=on"), 65536),
    ],
)  # fmt: skip
def test_real_images_are_read(tmp_path: Path, options: tuple[str, ...], cluster: int) -> None:
    path = tmp_path / "x.qcow2"
    qemu_img("create", "-f", "qcow2", *options, path, "1G")
    header = qcow2.read_header(path)
    assert (header.virtual_size, header.cluster_size) == (1024**3, cluster)
    qcow2.refuse_unless_standalone(header, "x")


@pytest.mark.parametrize("cluster", ["512", "64K", "2M"])
@pytest.mark.parametrize("compat", ["0.10", "1.1"])
def test_a_backing_file_is_seen(tmp_path: Path, cluster: str, compat: str) -> None:
    base, path = tmp_path / "base.qcow2", tmp_path / "x.qcow2"
    qemu_img("create", "-f", "qcow2", base, "1M")
    qemu_img("create", "-f", "qcow2", "-o", f"cluster_size={cluster},compat={compat}", "-b", base, "-F", "qcow2", path)
    header = qcow2.read_header(path)
    assert (header.backing_file, header.backing_format) == (str(base), "qcow2")
    with pytest.raises(Refused, match="backing file"):
        qcow2.refuse_unless_standalone(header, "x")


def test_an_external_data_file_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "x.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={tmp_path}/secret,data_file_raw=on", path, "1M")
    header = qcow2.read_header(path)
    assert header.data_file == f"{tmp_path}/secret"
    with pytest.raises(Refused, match="another file"):
        qcow2.refuse_unless_standalone(header, "x")


def patched(data: bytes, at: int, form: str, value: int) -> bytes:
    return data[:at] + struct.pack(form, value) + data[at + struct.calcsize(form) :]


@pytest.mark.parametrize("method", [1, 2])
def test_an_encrypted_image_is_seen(plain: bytes, method: int) -> None:
    with pytest.raises(Refused, match="encrypted"):
        qcow2.refuse_unless_standalone(qcow2.parse(patched(plain, 32, ">I", method), len(plain), "x"), "x")


@pytest.mark.parametrize(
    ("at", "form", "value", "error"),
    [
        (4, ">I", 1, Unsupported), (4, ">I", 4, Unsupported), (20, ">I", 8, Corrupt), (20, ">I", 22, Corrupt),
        (20, ">I", 2**31, Corrupt),
        (24, ">Q", 0, Corrupt), (24, ">Q", 2**64 - 1, Corrupt), (36, ">I", 2**32 - 1, Corrupt), (40, ">Q", 2**63, Corrupt),
        (40, ">Q", 7, Corrupt), (48, ">Q", 2**62, Corrupt), (56, ">I", 2**32 - 1, Corrupt), (60, ">I", 2**32 - 1, Corrupt),
        (72, ">Q", 1 << 40, Unsupported), (96, ">I", 7, Corrupt), (100, ">I", 2**32 - 8, Corrupt), (100, ">I", 3, Corrupt),
        (116, ">I", 2**32 - 1, Corrupt), (8, ">Q", 2**63, Corrupt), (8, ">Q", 65536, Corrupt),
    ],
)  # fmt: skip
def test_a_field_out_of_bounds_is_refused(plain: bytes, at: int, form: str, value: int, error: type[EdgeError]) -> None:
    data = patched(plain, 16, ">I", 20) if at == 8 else plain
    with pytest.raises(error):
        qcow2.parse(patched(data, at, form, value), len(plain), "x")


def test_a_data_file_hidden_behind_a_long_extension_is_seen(tmp_path: Path, plain: bytes) -> None:
    filler = struct.pack(">II", 0x12345678, 3976) + b"f" * 3976  # the next extension begins right behind the first 4 KiB
    hidden = struct.pack(">II", qcow2.DATA_FILE, 8) + b"/etc/pwd" + struct.pack(">II", 0, 0)
    path = tmp_path / "x.qcow2"
    path.write_bytes(plain[:112] + filler + hidden + plain[112 + len(filler) + len(hidden) :])
    assert qcow2.read_header(path).external_data


@times(4)
@given(at=st.integers(0, 300), noise=st.binary(min_size=1, max_size=40), cut=st.integers(0, 70_000))
def test_noise_gives_a_header_or_an_error_of_ours(plain: bytes, at: int, noise: bytes, cut: int) -> None:
    data = (plain[:at] + noise + plain[at + len(noise) :])[:cut]
    try:
        header = qcow2.parse(data, len(data), "x")
    except EdgeError:
        return
    assert 512 <= header.cluster_size <= 2 * 1024**2
    assert header.virtual_size > 0


@given(st.binary(max_size=400))
def test_anything_behind_the_magic_gives_an_error_of_ours(data: bytes) -> None:
    with pytest.raises(EdgeError):
        qcow2.parse(qcow2.MAGIC + data, len(data) + 4, "x")
