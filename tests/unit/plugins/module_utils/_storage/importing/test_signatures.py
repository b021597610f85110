# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures by real keys, verified by the real gpgv."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import EdgeError, InvalidInput, NotFound, Refused, Unsupported
from ansible_collections.edge.cloud.plugins.module_utils._runner import SubprocessRunner
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.signatures import Signatures
from support.openpgp import Signer, signer

DATA = b"the bytes as published\n"


@pytest.fixture(scope="module")
def alice() -> Iterator[Signer]:
    with signer("alice@example") as one:
        yield one


@pytest.fixture(scope="module")
def mallory() -> Iterator[Signer]:
    with signer("mallory@example") as one:
        yield one


@pytest.mark.parametrize("armour", [True, False])
def test_a_good_signature_names_its_key(alice: Signer, tmp_path: Path, armour: bool) -> None:
    keys = Signatures(SubprocessRunner(), alice.keyring(tmp_path / "ring", armour=armour))
    assert len(keys.verify(DATA, alice.sign(DATA, armour=armour), "x")) == 40


def test_everything_else_is_refused(alice: Signer, mallory: Signer, tmp_path: Path) -> None:
    keys = Signatures(SubprocessRunner(), alice.keyring(tmp_path / "ring"))
    good = alice.sign(DATA)
    for data, signature in ((DATA + b"!", good), (DATA, mallory.sign(DATA)), (DATA, b""), (DATA, b"x" * 500), (DATA, good[:-9])):
        with pytest.raises(Refused, match="the thing is refused: it has no good signature"):
            keys.verify(data, signature, "the thing")
    with pytest.raises(Refused):
        keys.verify(DATA, good + mallory.sign(DATA), "the thing")
    with pytest.raises(InvalidInput, match="larger than"):
        keys.verify(DATA, b"x" * 300_000, "the thing")


def test_nothing_but_the_signed_text_of_a_clear_signed_document_is_given(alice: Signer, mallory: Signer, tmp_path: Path) -> None:
    keys = Signatures(SubprocessRunner(), alice.keyring(tmp_path / "ring"))
    good = alice.clear_sign(b"- one\ntwo\n")
    assert keys.signed_text(good, "x") == b"- one\ntwo\n"
    assert keys.signed_text(b"before\n" + good + b"after\n", "x") == b"- one\ntwo\n"
    bad = (good.replace(b"two", b"2"), mallory.clear_sign(b"one\n"), b"one\n", b"", alice.sign(DATA), alice.sign(DATA, armour=True))
    for data in (*bad, good + mallory.clear_sign(b"three\n")):
        with pytest.raises(Refused, match="the thing is refused"):
            keys.signed_text(data, "the thing")


@pytest.mark.parametrize(
    ("ring", "error"), [(None, NotFound), (b"", Refused), (b"nonsense", Refused), (b"-----BEGIN PGP nothing", InvalidInput)]
)
def test_a_keyring_that_is_none(alice: Signer, tmp_path: Path, ring: bytes | None, error: type[EdgeError]) -> None:
    if ring is not None:
        (tmp_path / "ring").write_bytes(ring)
    with pytest.raises(error):
        Signatures(SubprocessRunner(), tmp_path / "ring").verify(DATA, alice.sign(DATA), "x")


def test_without_gpgv_its_package_is_named(alice: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Signatures(SubprocessRunner(), alice.keyring(tmp_path / "ring"))
    signature = alice.sign(DATA)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match="install the package gpgv"):
        keys.verify(DATA, signature, "x")
