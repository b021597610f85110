# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VM's record asks of replicas, whoever wrote it."""

from __future__ import annotations

import pytest
from ansible_collections.edge.cloud.plugins.module_utils._recovery_policy import Policy, policy_in


@pytest.mark.parametrize(("recovery", "policy"), [
    ({"replicas": 3, "interval": 60}, Policy(60, replicas=3)),
    (None, Policy()), ("text", Policy()), ({"replicas": 0, "interval": 1}, Policy()), ({"replicas": True}, Policy()),
    ({"replicas": "2", "interval": None}, Policy()), ({"interval": 10**30}, Policy(30 * 86400)),
    ({"keep": 24}, Policy(keep=24)), ({"keep": 10**30}, Policy(keep=1000)), ({"keep": 1}, Policy()), ({"keep": "9"}, Policy()),
    ({"replicas": 10**30}, Policy(replicas=100)), ({"interval": 8 * 86400}, Policy(8 * 86400)),
    ({"keep": True}, Policy()), ({"keep": 9.0}, Policy()),
])  # fmt: skip
def test_a_policy_that_is_not_possible_is_the_default(recovery: object, policy: Policy) -> None:
    assert policy_in({"recovery": recovery}) == policy
    assert policy_in({}) == Policy()
