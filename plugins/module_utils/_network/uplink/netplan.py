# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The uplink of a host that netplan configures by systemd-networkd, as cloud images are."""

from __future__ import annotations

import re
from pathlib import Path

from ..._errors import Conflict, Unsupported
from ..boot.managers import Managers
from ..boot.unit_files import read_text
from ..link.model import Host
from . import cloud_init, marks, netplan_text
from .live import Carried
from .model import BootFile, Parts
from .networkd import RELOAD, back_to_port, iaid, rest, wait_for

GENERATED = re.compile(r"10-netplan-(.+)\.network")


class Netplan:
    """The files of netplan below ``root``."""

    name: str = "netplan"

    def __init__(self, managers: Managers, root: Path = Path("/")) -> None:
        self._managers, self._root = managers, root
        paths = sorted((root / "etc/netplan").glob("*.yaml"))
        self._texts = {path: read_text(path) for path in paths if path.is_file()}

    def ident(self, link: str) -> str | None:
        """Return netplan's name of ``link``, by which its generated file is called, or None."""
        file = self._managers.network_file(link)
        found = GENERATED.fullmatch(file.name) if file else None
        return found[1] if found else None

    def owns(self, link: str) -> bool:
        """Return whether systemd-networkd configures ``link`` now by a file of netplan."""
        return self.ident(link) is not None

    def made(self, bridge: str) -> str | None:
        """Return the name of the port of the bridge that we wrote, or None."""
        return next((marks.over(text, bridge) for text in self._texts.values() if marks.marked(text, bridge)), None)

    def boot(self, bridge: str) -> dict[str, str]:
        """Return the files with our marks for ``bridge``, and those beside them."""
        found = {str(path): text for path, text in self._texts.items() if marks.marked(text, bridge)}
        path = self._drop_in(bridge)
        if found and path.exists() and path.read_text().startswith(marks.OURS):
            found[str(path)] = path.read_text()
        return {**found, **cloud_init.there(self._root)} if found else {}

    def present(self, _host: Host, held: Carried) -> Parts:
        """Return what moves all from the port to the bridge."""
        ident = self.ident(held.port) or held.port
        base = {path: marks.restored(text, held.bridge) for path, text in self._texts.items()}
        files = [path for path, text in base.items() if netplan_text.sections_with(text, ident)]
        if len(files) != 1:
            raise Unsupported(
                f"port: netplan's {ident} ({held.port}) is in {len(files)} files of {self._root / 'etc/netplan'}"
                f" ({', '.join(path.name for path in files) or 'none'}); it has to be in one, which can change at one instant.",
                option="port",
            )
        path, text = files[0], base[files[0]]
        if (self._root / "run/netplan" / path.name).exists():
            raise Conflict(f"port: /run/netplan/{path.name} hides {path} until the next boot; remove it first.", option="port")
        new = netplan_text.with_bridge(text, held.bridge, ident, held.mac)
        beside = self._beside(path, held, new)
        has = {**self.boot(held.bridge), str(path): self._texts[path]}
        wanted = {**beside, str(path): new}
        boot = tuple(BootFile(name, has.get(name), added) for name, added in wanted.items() if has.get(name) != added)
        trial = [(str(self._root / "run" / Path(name).relative_to(self._root / "etc")), added) for name, added in beside.items()]
        trial = [(name, added) for name, added in trial if name.endswith(".conf")]
        trial.append((str(self._root / "run/netplan" / path.name), new))
        back = ("netplan generate || true", *back_to_port(held))
        return Parts(boot, tuple(trial), ("netplan generate", RELOAD, wait_for(held), rest(held, held.port, held.bridge)), back)

    def absent(self, host: Host, held: Carried) -> Parts:
        """Return what moves all back to the port, with the text that the file had."""
        has = self.boot(held.bridge)
        files = [name for name, text in has.items() if name.endswith(".yaml")]
        boot, trial = [], []
        for name in files:
            old = marks.restored(has[name], held.bridge)
            ident = marks.over(has[name], held.bridge) or held.port
            mac = netplan_text.read(has[name])["bridges"][held.bridge].get("macaddress", held.mac)
            if netplan_text.with_bridge(old, held.bridge, ident, mac) != has[name]:
                raise Conflict(
                    f"state: {name} was edited since, within the marks of edge.cloud.uplink; what was changed there would be lost."
                    " Take the bridge out by hand, or put the lines back.",
                    option="state",
                    path=name,
                )
            boot.append(BootFile(name, has[name], old))
            trial.append((str(self._root / "run/netplan" / Path(name).name), old))
        boot += [BootFile(name, text, None) for name, text in has.items() if name not in files]
        if held.bridge not in host.links:
            return Parts(tuple(boot))
        drop = f"ip link del dev {held.bridge} || true"
        again = f"ip -force -batch - <<'END' || true\n{held.to_bridge}END"
        return Parts(
            tuple(boot),
            tuple(trial),
            ("netplan generate", drop, RELOAD, rest(held, held.bridge, held.port)),
            ("netplan generate || true", again, RELOAD, f"networkctl reconfigure {held.port} {held.bridge} || true"),
        )

    def _drop_in(self, bridge: str) -> Path:
        return self._root / f"etc/systemd/network/10-netplan-{bridge}.network.d/edge-uplink.conf"

    def _beside(self, path: Path, held: Carried, new: str) -> dict[str, str]:
        """Return what else has to be there: the identity of the lease, and cloud-init kept from writing the file again."""
        found, number = {}, iaid(self._root, held.port)
        if number is not None and "dhcp-identifier" not in netplan_text.read(new)["bridges"][held.bridge]:
            text = f"{marks.OURS} {held.bridge}: the lease of {held.port}\n[DHCPv4]\nIAID={number}\n\n[DHCPv6]\nIAID={number}\n"
            found[str(self._drop_in(held.bridge))] = text
        return {**found, **cloud_init.needed(self._root, path, held.bridge)}
