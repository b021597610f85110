# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks libvirt, before anything is changed, whether it could make QEMU's command line of a domain.

It refuses there most of what it refuses at the definition and at the start, and needs no file of the domain.
"""

from __future__ import annotations

from typing import Any

from ...._errors import Unsupported
from ...._libvirt import error_name, intent, libvirt, lookup
from ...._plan import Plan
from ...._secrets import without_words
from ...model.state import VmState
from ...xml.display import passwords_in
from ...xml.domain import emit, parse_xml, to_text
from ..plan import Define

FORMAT = "qemu-argv"


def check_definition(connection: Any, plan: Plan[VmState]) -> None:
    """Raise Unsupported where libvirt refuses what the plan defines, and not what is there already for the same reason."""
    define = next((step for step in plan.steps if isinstance(step, Define)), None)
    if define is None or define.spec == plan.before.config or connection.getType() != "QEMU":
        return
    name = define.spec.name
    with intent(f"read domain {name}"):
        found = lookup(connection.lookupByName, name)
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
        base = found.XMLDesc(flags) if found is not None else None
    wanted = to_text(emit(define.spec, define.record, parse_xml(base) if base else None))
    says = refusal(connection, wanted)
    if says and not (base and refusal(connection, base) == says):
        raise Unsupported(f"libvirt on this host refuses domain {name} as it was asked: {says}. Nothing was changed.", domain=name)


def refusal(connection: Any, text: str) -> str | None:
    """Return libvirt's words without passwords, None where it would take the XML or does not know."""
    try:
        connection.domainXMLToNative(FORMAT, text, 0)
    except libvirt.libvirtError as error:
        if error_name(error) != "VIR_ERR_NO_SUPPORT":
            return without_words(error.get_error_message(), passwords_in(parse_xml(text)))
    return None
