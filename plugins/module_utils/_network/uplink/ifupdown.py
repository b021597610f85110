# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The uplink of a host that ifupdown configures: /etc/network/interfaces and what it sources."""

from __future__ import annotations

from pathlib import Path

from ..._errors import Conflict, Unsupported
from ..boot.managers import IFUP, interfaces_files
from ..link.model import Host
from . import cloud_init, interfaces, marks
from .live import Carried, check_whole
from .model import BootFile, Parts

STAGED = "run/edge/uplink/interfaces"


class Ifupdown:
    """The files of ifupdown below ``root``."""

    name: str = "ifupdown"

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        there = any((root / str(program).lstrip("/")).exists() for program in IFUP)
        found = interfaces_files(root / "etc/network/interfaces") if there else ()
        self._texts = {path.resolve(): text for path, text in found}

    def owns(self, link: str) -> bool:
        """Return whether a file has a stanza for ``link``."""
        return bool(_with(self._texts, link))

    def made(self, bridge: str) -> str | None:
        """Return the port of the bridge that we wrote, or None."""
        return next((marks.over(text, bridge) for text in self._texts.values() if marks.marked(text, bridge)), None)

    def boot(self, bridge: str) -> dict[str, str]:
        """Return the files with our marks for ``bridge``."""
        found = {str(path): text for path, text in self._texts.items() if marks.marked(text, bridge)}
        return {**found, **cloud_init.there(self._root)} if found else {}

    def present(self, host: Host, held: Carried) -> Parts:
        """Return what moves all from the port to the bridge."""
        base = {path: marks.restored(text, held.bridge) for path, text in self._texts.items()}
        files = _with(base, held.port)
        for path in _with(base, held.bridge):
            raise Conflict(f"name: {path} configures {held.bridge} already; choose another name or remove it.", option="name")
        if len(files) != 1:
            raise Unsupported(
                f"port: {held.port} is configured in {' and '.join(map(str, files))}; two files cannot change at one instant, so"
                " have its stanzas in one.",
                option="port",
            )
        path, text = files[0], base[files[0]]
        made = bool(host.links[held.port].kind)
        new = interfaces.with_bridge(text, held.bridge, held.port, held.mac, made=made)
        leases = interfaces.dhcp(text, held.port)
        check_whole(host, host.links[held.port], held.bridge, leases=leases)
        has = {**cloud_init.there(self._root), str(path): self._texts[path]}
        texts = {**cloud_init.needed(self._root, path, held.bridge), str(path): new}
        boot = tuple(BootFile(name, has.get(name), after) for name, after in texts.items() if has.get(name) != after)
        if leases:
            return self._by_ifup(boot, new, held, (held.port, held.bridge))
        return Parts(boot, forward=(_batch(held.to_bridge),), back=(_batch(held.to_port, force=True),))

    def absent(self, host: Host, held: Carried) -> Parts:
        """Return what moves all back to the port, with the text that the file had."""
        has, beside = self.boot(held.bridge), cloud_init.there(self._root)
        files = {path: text for path, text in has.items() if path not in beside}
        boot = tuple(BootFile(path, text, _restored(path, text, held, host)) for path, text in files.items())
        boot += tuple(BootFile(path, text, None) for path, text in beside.items() if files)
        leases = any(interfaces.dhcp(file.before or "", held.bridge) for file in boot)
        if held.bridge not in host.links:
            return Parts(boot)
        check_whole(host, host.links[held.bridge], held.port, leases=leases)
        if leases:
            return self._by_ifup(boot, boot[0].after or "", held, (held.bridge, held.port))
        return Parts(boot, forward=(_batch(held.to_port),), back=(_batch(held.to_bridge, force=True),))

    def _by_ifup(self, boot: tuple[BootFile, ...], text: str, held: Carried, way: tuple[str, str]) -> Parts:
        """Return what has ifupdown itself take down one and bring up the other, since its DHCP client has to go along."""
        heads = [line for line in interfaces.logical(text) if line.words[:1] in (("source",), ("source-directory",))]
        sourced = {number for line in heads for number in line.numbers}
        staged = "".join(line for number, line in enumerate(marks.lines_of(text)) if number not in sourced)
        (source, target), path = way, str(self._root / STAGED)
        down, up = f"ifdown --force {source}", f"ifup --force -i {path} {target}"
        raise_port = f"ip link set dev {held.port} up"
        there = held.to_port if target == held.bridge else held.to_bridge
        return Parts(
            boot,
            trial=((path, staged),),
            forward=(down, raise_port, up),
            back=(f"ifdown --force -i {path} {target} || true", _batch(there, force=True), f"ifup --force {source} || true"),
        )


def _with(texts: dict[Path, str], link: str) -> list[Path]:
    """Return the files that have a stanza for ``link``."""
    return [path for path, text in texts.items() if any(found.interface == link for found in interfaces.stanzas(text))]


def _restored(path: str, text: str, held: Carried, host: Host) -> str:
    old = marks.restored(text, held.bridge)
    again = interfaces.with_bridge(old, held.bridge, held.port, _mac(text, held), made=bool(host.links[held.port].kind))
    if again != text:
        raise Conflict(
            f"state: {path} was edited since, within the marks of edge.cloud.uplink; what was changed there would be lost. Take the"
            " bridge out by hand, or put the lines back.",
            option="state",
            path=path,
        )
    return old


def _mac(text: str, held: Carried) -> str:
    """Return the MAC address that the file gives to the bridge."""
    words = [line.words for line in interfaces.logical(text) if "pre-up" in line.words and "address" in line.words]
    found = [line[line.index("address") + 1] for line in words if held.bridge in line]
    return found[0] if found else held.mac


def _batch(lines: str, *, force: bool = False) -> str:
    return f"ip {'-force ' if force else ''}-batch - <<'END'{' || true' if force else ''}\n{lines}END"
