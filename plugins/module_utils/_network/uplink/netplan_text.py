# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of netplan with a bridge over one of its links: edited as text, and read again to prove what it says. Pure.

PyYAML is what netplan itself needs, so hosts that have netplan have it; it tells where in the text each key is.
"""

from __future__ import annotations

import copy
from typing import Any

from ..._errors import Conflict, Unsupported
from .interfaces import mentions
from .marks import block, edited, lines_of

try:
    import yaml
except ImportError:  # reported when it is needed
    yaml = None  # type: ignore[assignment]

SECTIONS = ("ethernets", "bonds", "vlans")
MOVED = (
    *("addresses", "dhcp4", "dhcp6", "dhcp-identifier", "dhcp4-overrides", "dhcp6-overrides", "accept-ra", "ra-overrides"),
    *("ipv6-privacy", "ipv6-address-generation", "ipv6-address-token", "ipv6-mtu", "gateway4", "gateway6", "nameservers"),
    *("routes", "routing-policy", "link-local", "critical", "optional", "optional-addresses"),
)
OFF = {"dhcp4": "false", "dhcp6": "false"}  # a link without a key would be an empty value


def read(text: str) -> dict[str, Any]:
    """Return the section ``network`` of a file, empty where there is none; raise Unsupported for what cannot be read."""
    if yaml is None:
        raise Unsupported(
            "port: the Python that runs this module has no PyYAML (python3-yaml), which netplan's files need.", option="port"
        )
    try:
        found = yaml.load(text, Loader=yaml.BaseLoader)  # texts only: SafeLoader takes a MAC address for a number
    except yaml.YAMLError as error:
        raise _unsupported(f"it is not YAML ({_reason(error)})") from None
    network = found.get("network") if isinstance(found, dict) else None
    return network if isinstance(network, dict) else {}


def _reason(error: Any) -> str:
    """Return what PyYAML says of a text without the part of the text that it shows, which may have a password."""
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    return f"{problem or type(error).__name__}{f' in line {mark.line + 1}' if mark else ''}"


def sections_with(text: str, ident: str) -> list[str]:
    """Return the sections of a file that define ``ident``."""
    return [name for name, held in read(text).items() if isinstance(held, dict) and ident in held]


def with_bridge(text: str, bridge: str, ident: str, mac: str) -> str:
    """Return a file in which ``bridge``, with the link ``ident``, has the addresses, routes and all that ``ident`` had."""
    section = next((name for name in sections_with(text, ident) if name in SECTIONS), None)
    if section is None:
        raise _unsupported(f"it defines no {ident} under {', '.join(SECTIONS)}")
    if bridge in (read(text).get("bridges") or {}):
        raise Conflict(f"name: netplan configures {bridge} already; choose another name or remove it there.", option="name")
    wanted = _expected(read(text), section, bridge, ident, mac)
    new = _edit(text, section, bridge, ident, mac)
    if read(new) != wanted:
        raise _unsupported(f"{ident} is written in a way that cannot be moved as text; write it as a plain block")
    return new


def _expected(network: dict[str, Any], section: str, bridge: str, ident: str, mac: str) -> dict[str, Any]:
    found = copy.deepcopy(network)
    link = found[section][ident] or {}
    moved = {key: link.pop(key) for key in MOVED if key in link}
    for key, value in moved.items():
        if mentions((str(value),), ident):
            raise _unsupported(f"{key} of {ident} names {ident} itself")
    link.update(OFF)
    found[section][ident] = link
    both = {"mtu": link["mtu"]} if "mtu" in link else {}
    parameters = {"stp": "false", "forward-delay": "0"}
    made = {**moved, **both, "interfaces": [ident], "macaddress": mac, "parameters": parameters}
    found["bridges"] = {**(found.get("bridges") or {}), bridge: made}
    return found


def _edit(text: str, section: str, bridge: str, ident: str, mac: str) -> str:
    raw = lines_of(text)
    network = _child(yaml.compose(text, Loader=yaml.SafeLoader), "network", "network")
    section_key, links = _pair(network, section)
    link = _child(links, ident, ident)
    column = link.value[0][0].start_mark.column
    moved = [(key, value) for key, value in link.value if key.value in MOVED]
    spans = [range(key.start_mark.line, _end(value, key) + 1) for key, value in moved]
    kept = [raw[number].rstrip("\r\n")[column:] for span in spans for number in span]
    mtu = next((value.value for key, value in link.value if key.value == "mtu"), None)
    body = [*kept, *([f"mtu: {mtu}"] if mtu else []), f"interfaces: [{ident}]", f'macaddress: "{mac}"']
    body += ["parameters:", "  stp: false", "  forward-delay: 0"]
    put = {link.value[0][0].start_mark.line: block(bridge, [f"{' ' * column}{key}: false" for key in OFF], indent=" " * column)}
    bridges = _pair(network, "bridges")[1] if any(key.value == "bridges" for key, _value in network.value) else None
    if bridges is None:
        line, indent = section_key.start_mark.line, section_key.start_mark.column
        lines = [f"{' ' * indent}bridges:", f"{' ' * indent}  {bridge}:", *(f"{' ' * indent}    {part}" for part in body)]
    else:
        first = _plain(bridges, "bridges").value[0][0].start_mark
        line, indent = first.line, first.column
        lines = [f"{' ' * indent}{bridge}:", *(f"{' ' * indent}  {part}" for part in body)]
    put[line] = put.get(line, []) + block(bridge, lines, indent=" " * indent, why=f"the bridge over {ident}")
    return edited(text, bridge, put, (number for span in spans for number in span))


def _pair(node: Any, key: str) -> tuple[Any, Any]:
    return next((name, value) for name, value in node.value if name.value == key)


def _child(node: Any, key: str, what: str) -> Any:
    return _plain(_pair(node, key)[1], what)


def _plain(node: Any, what: str) -> Any:
    """Return a mapping that is written as a block, one key a line; only such can be edited as text."""
    if not isinstance(node, yaml.MappingNode) or node.flow_style or not node.value:
        raise _unsupported(f"{what} is not written as a plain block, one key a line")
    return node


def _end(node: Any, key: Any) -> int:
    """Return the number of the last line of a value; the marks of a block end where the next thing begins."""
    if isinstance(node, yaml.ScalarNode):
        block_text = node.style in ("|", ">")
        return max(key.end_mark.line, node.end_mark.line - (1 if block_text and node.end_mark.column == 0 else 0))
    if node.flow_style or not node.value:
        return int(node.end_mark.line)
    last = node.value[-1]
    return _end(last[1], last[0]) if isinstance(last, tuple) else _end(last, key)


def _unsupported(what: str) -> Unsupported:
    return Unsupported(f"port: the file of netplan cannot be changed: {what}. Have the bridge there by hand.", option="port")
