# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS Signature Version 4, against the examples that AWS publishes for S3 ("Authenticating Requests: Examples")."""

from __future__ import annotations

import calendar

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._storage.transfer.web.aws_signature import Keys, canonical, signed

KEYS = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOW = calendar.timegm((2013, 5, 24, 0, 0, 0))
HOST = "examplebucket.s3.amazonaws.com"
PUBLISHED = {
    ("/test.txt", "bytes=0-9"): "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ("/?lifecycle", None): "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ("/?max-keys=2&prefix=J", None): "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ("/?prefix=J&max-keys=2", None): "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
}


@pytest.mark.parametrize(("target", "range_"), PUBLISHED)
def test_a_published_example(target: str, range_: str | None) -> None:
    headers = {"Host": HOST, **({"Range": range_} if range_ else {})}
    found = signed(KEYS, "GET", canonical(target), headers, NOW)
    names = "host;range;x-amz-content-sha256;x-amz-date" if range_ else "host;x-amz-content-sha256;x-amz-date"
    assert found["Authorization"] == (
        f"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders={names},"
        f"Signature={PUBLISHED[target, range_]}"
    )
    assert found["x-amz-date"] == "20130524T000000Z"
    assert found["Host"] == HOST


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/a b/ü~-_.img", "/a%20b/%C3%BC~-_.img"),
        ("/a%20b/%c3%bc.img", "/a%20b/%C3%BC.img"),
        ("/x?b=&a=1&c", "/x?a=1&b=&c="),
        ("/a%fcb", "/a%FCb"),
        ("/a+b(1)?x=a+b", "/a%2Bb%281%29?x=a%2Bb"),
        ("/", "/"),
    ],
)
def test_an_object_is_asked_for_as_it_is_signed(target: str, sent: str) -> None:
    assert canonical(target) == canonical(sent) == sent


def test_a_session_token_is_signed_and_no_secret_is_shown() -> None:
    keys = Keys("AKIA", "s3cret", "t0ken", "eu-west-1")
    found = signed(keys, "GET", "/a", {"Host": HOST}, NOW)
    assert found["x-amz-security-token"] == "t0ken"
    assert "host;x-amz-content-sha256;x-amz-date;x-amz-security-token" in found["Authorization"]
    assert "/eu-west-1/s3/aws4_request" in found["Authorization"]
    assert "s3cret" not in repr(keys) + str(found)
    assert "t0ken" not in repr(keys)
