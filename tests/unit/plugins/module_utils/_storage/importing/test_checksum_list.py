# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksum lists as publishers write them: every spelling means the same, and what is not understood is told."""

from __future__ import annotations

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._errors import InvalidInput
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing import checksum_list
from ansible_collections.edge.cloud.plugins.module_utils._storage.importing.checksum_list import parse
from hypothesis import given
from hypothesis import strategies as st

A, B, LONG = "a" * 64, "b" * 64, "c" * 128
ONE = {"alpha.qcow2": {"sha256": A}}
BOM = "\ufeff"

SPELLINGS = {
    "gnu": f"{A}  alpha.qcow2\n",
    "binary": f"{A} *alpha.qcow2\n",
    "no end of line": f"{A}  alpha.qcow2",
    "one blank": f"{A} alpha.qcow2\n",
    "many blanks": f"{A}     alpha.qcow2   \n",
    "tab": f"{A}\talpha.qcow2\n",
    "tab and star": f"{A}\t*alpha.qcow2\n",
    "star alone": f"{A}*alpha.qcow2\n",
    "upper case": f"{A.upper()}  alpha.qcow2\n",
    "dot": f"{A}  ./alpha.qcow2\n",
    "dots inside": f"{A} *././/alpha.qcow2\n",
    "CRLF": f"# sums\r\n\r\n{A}  alpha.qcow2\r\n",
    "CR": f"{A}  alpha.qcow2\r",
    "byte order mark": f"{BOM}{A}  alpha.qcow2\n",
    "two of them, from files put together": f"{BOM}# first\n{BOM}{A}  alpha.qcow2\n",
    "comments": f"# one\n; two\n\n   # three\n{A}  alpha.qcow2\n",
    "indented": f"   {A}  alpha.qcow2\n",
    "bsd": f"SHA256 (alpha.qcow2) = {A}\n",
    "bsd without blanks": f"SHA256(alpha.qcow2)={A.upper()}\n",
    "openssl 1": f"SHA256(alpha.qcow2)= {A}\n",
    "openssl 3": f"SHA2-256(./alpha.qcow2)= {A}\n",
    "small letters": f"sha-256 (alpha.qcow2) = {A}\n",
    "tag before": f"sha256:{A}  alpha.qcow2\n",
    "powershell": f"Algorithm       Hash       Path\n---\nSHA256          {A.upper()}       alpha.qcow2\n",
    "name first": f"alpha.qcow2: {A}\n",
    "name first, blanks": f"alpha.qcow2   {A}\n",
    "with a size": f"{A}  196616 alpha.qcow2\n",
    "with a small size": f"{A}  7\talpha.qcow2\n",
    "escaped": f"\\{A}  alpha.qcow2\n",
    "twice the same": f"{A}  alpha.qcow2\n{A.upper()} *alpha.qcow2\n",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_spelling(spelling: str) -> None:
    assert parse(SPELLINGS[spelling].encode(), "The list", "SHA256SUMS").known == ONE


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_an_encoding_with_a_byte_order_mark(encoding: str) -> None:
    found = parse(f"{A}  alpha.qcow2\r\n{B}  für.qcow2\r\n".encode(encoding), "The list")
    assert found.known == {**ONE, "für.qcow2": {"sha256": B}}
    assert found.unread == []


def test_names_are_kept_as_they_are() -> None:
    lines = [
        f"{A}  images/alpha 1 (copy).qcow2",
        f"SHA512 (a (b) c.img) = {LONG}",
        f"\\{B}  back\\\\slash\\nand line.img",
        f"{B}  /build/x.img",
        f"{B}  12 of 13.img",
        f"{B}  https://x.example/a//b.img",
    ]
    assert parse("\n".join(lines).encode(), "The list").known == {
        "images/alpha 1 (copy).qcow2": {"sha256": A},
        "a (b) c.img": {"sha512": LONG},
        "back\\slash\nand line.img": {"sha256": B},
        "/build/x.img": {"sha256": B},
        "12 of 13.img": {"sha256": B},
        "https://x.example/a//b.img": {"sha256": B},
    }


ALONE = {
    "the digest": f"{A}\n",
    "of standard input": f"{A}  -\n",
    "with its tag": f"sha256:{A}",
    "with a mark": f"{BOM}{A.upper()}\r\n",
    "by its name": f"{A}  alpha.qcow2\n",
    "where it was made": f"{A}  /build/out/alpha.qcow2\n",
    "bsd, where it was made": f"SHA256 (../out/alpha.qcow2) = {A}\n",
}


@pytest.mark.parametrize("text", ALONE)
@pytest.mark.parametrize("suffix", [".sha256", ".SHA256SUM", ".sha256sum.txt", ".sha-256", ".CHECKSUM"])
def test_a_list_for_one_file(text: str, suffix: str) -> None:
    assert parse(ALONE[text].encode(), "The list", f"alpha.qcow2{suffix}").known == ONE


def test_a_digest_without_any_name_is_told() -> None:
    with pytest.raises(InvalidInput, match=r"^The list has no line .*line 1: .* without a name"):
        parse(A.encode(), "The list", "SHA256SUMS")


ODD = {
    f"SHA3-256 (x.img) = {B}": "SHA3-256",
    f"BLAKE2b (x.img) = {LONG}": "BLAKE2b",
    f"SHA512/256 (x.img) = {B}": "SHA512/256",
    f"SHA512 (x.img) = {B}": "SHA512",
    f"{'d' * 96}  x.img": "384 bits",
    f"{'d' * 63}  x.img": "252 bits",
    "build 7 of today": "not a checksum and a name",
    "zz" * 32 + "  x.img": "not a checksum and a name",
    f"{B}  \udcff.img": "not UTF-8",
}


@pytest.mark.parametrize("line", ODD)
def test_a_line_that_is_not_understood_is_told_and_hides_no_other(line: str) -> None:
    found = parse(f"{A}  alpha.qcow2\n{line}\n".encode(errors="surrogateescape"), "The list", "SHA256SUMS")
    assert found.known == ONE
    ((label, reason),) = found.unread
    assert label == "line 2"
    assert ODD[line] in reason


def test_a_digest_of_another_algorithm_is_not_taken_for_one_of_ours() -> None:
    with pytest.raises(InvalidInput, match="another algorithm"):
        parse(f"{LONG}  alpha.qcow2\n".encode(), "The list", "B2SUMS")
    sections = f"# BLAKE2B HASH\n{'d' * 128}  x.img\n# SHA512 HASH\n{LONG}  x.img\n"
    found = parse(sections.encode(), "The list", "x.DIGESTS")
    assert found.known == {"x.img": {"sha512": LONG}}
    assert ["BLAKE2B" in reason for _label, reason in found.unread] == [True]


def test_two_checksums_of_a_name_hide_no_other_name() -> None:
    found = parse(f"{A}  alpha.qcow2\n{A}  beta.img\n{B}  beta.img\n".encode(), "The list")
    assert found.known == ONE
    assert [label for label, _reason in found.unread] == ["beta.img"]


CLEAR_SIGNED = f"""{A}  evil.img
-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256
{B}  header.img

# comment
{A}  alpha.qcow2
- -----BEGIN PGP SIGNATURE-----
-----BEGIN PGP SIGNATURE-----
Version: x

{B}
=abcd
-----END PGP SIGNATURE-----
{A}  late.img
"""


def test_only_the_signed_text_of_a_clear_signed_list_is_read() -> None:
    for text in (CLEAR_SIGNED, CLEAR_SIGNED.replace("\n", "\r\n"), BOM + CLEAR_SIGNED):
        found = parse(text.encode(), "The list")
        assert found.known == ONE
        assert [reason.partition(" ")[2].endswith("outside of the signed text.") for _label, reason in found.unread] == [
            True,
            False,
            True,
        ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"<!DOCTYPE html><html>Sign in</html>", "web page"),
        (b"\xef\xbb\xbf\n <html>", "web page"),
        (b"\x1f\x8b\x08\0\0", "is not text"),
        (b"one\ntwo", "line 1: 'one' is not a checksum"),
        (b" " * (checksum_list.LARGEST + 1), "is larger than"),
        (b"\n" * (2 * checksum_list.MOST_LINES + 1), "has more than 500000 lines"),
    ],
)
def test_what_is_no_list_says_what_it_is(data: bytes, words: str) -> None:
    with pytest.raises(InvalidInput, match=f"^The list .*{words}"):
        parse(data, "The list")


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "ignore")))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    found = parse(f"{A}  alpha.qcow2\n".encode() + data.replace(b"\0", b"0").replace(b"-----BEGIN", b""), "The list")
    assert found.known["alpha.qcow2"]["sha256"] == A


BLANKS = 200_000  # of which the square are hours


@pytest.mark.parametrize(
    "line",
    [
        f"a{' ' * BLANKS}b",
        f"SHA256 (a){' ' * BLANKS}b",
        f"SHA256 ({') ' * BLANKS}b",
        f"a{' :' * BLANKS}b",
        f"a{'= ' * BLANKS}b",
        f"{'#' * BLANKS}a",
        f"{A}  1{chr(9) * BLANKS}\u00a0b",
        f"{A}  {'1' * BLANKS} b",
        f"{A}{' ' * BLANKS}b",
    ],
    ids=lambda line: ascii(line.replace(A, "")[:12]),
)
def test_a_long_line_is_read_in_a_time_that_grows_with_its_length(line: str) -> None:
    found = parse(f"{line}\n{A}  alpha.qcow2\n".encode(), "The list")
    assert found.known["alpha.qcow2"] == {"sha256": A}
