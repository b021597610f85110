# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of a hypervisor and a Front-end, tried with a key: each lets it in, or refuses its certificate and says so."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge_lab.api import LabHost

NAMES = {
    "ca.crt": ["cacert.pem", "ca-cert.pem"],
    "host.crt": ["clientcert.pem", "client-cert.pem"],
    "host.key": ["clientkey.pem", "client-key.pem"],
}
NGINX_REFUSES = re.compile(r"SSL certificate.*\n400$|\n403$", re.DOTALL)
"""Status 400 with these words for a certificate that is not valid, 403 for a name that may not."""
NBD_REFUSES = re.compile(r"gnutls_handshake: .*certificate|is not among the names in ", re.IGNORECASE)
LIBVIRT_REFUSES = re.compile(r"certificate|not (?:on|in) the list of allowed|Distinguished Name", re.IGNORECASE)
CURL = ["curl", "--silent", "--max-time", "60", "--cacert", "/etc/edge/pki/ca.crt", "--write-out", "\n%{http_code}"]


@dataclass(frozen=True)
class Doors:
    """Tries to come in from the hypervisor itself; ``image`` is the digest, in hexadecimal digits, of one that it has."""

    hypervisor: LabHost
    front: str
    image: str

    def opened(self, label: str, files: dict[str, str]) -> set[str]:
        """Return which servers let in a certificate (``host.crt``) with its key (``host.key``).

        A server that is not there, or fails otherwise, is no answer: it is tried again, and an error after some minutes.
        """
        folder, name = self._folder(label, files), self.hypervisor.name
        tries: dict[str, Callable[[], bool | None]] = {
            "nginx": lambda: self._web(folder, f"https://{name}:8444/index.json"),
            "frontend": lambda: self._web(folder, f"https://{self.front}:8443/index.json"),
            "libvirt": lambda: self._libvirt(folder),
            "nbd": lambda: self._nbd(folder),
        }
        return {door for door, tried in tries.items() if _answer(door, tried)}

    def _folder(self, label: str, files: dict[str, str]) -> str:
        """Lay them down under the names that libvirt's and QEMU's clients look for; return the folder.

        They trust the CAs that the host trusts by now: the servers are to refuse the key, not the client the servers.
        """
        folder = f"/root/{label}"
        self.hypervisor.run(["mkdir", "-p", folder])
        trusted = self.hypervisor.run(["cat", "/etc/edge/pki/ca.crt"]).stdout
        for kind, text in (files | {"ca.crt": trusted}).items():
            for name in NAMES[kind]:
                self.hypervisor.run(["sh", "-ec", f"cat > {folder}/{name}"], stdin=text)
        return folder

    def _web(self, folder: str, url: str) -> bool | None:
        pair = ["--cert", f"{folder}/clientcert.pem", "--key", f"{folder}/clientkey.pem"]
        shown = self.hypervisor.run([*CURL, *pair, url], check=False).stdout
        if shown.endswith(("\n200", "\n404")):
            return True
        return False if NGINX_REFUSES.search(shown) else None

    def _libvirt(self, folder: str) -> bool | None:
        unit = "libvirtd.service"
        since = self._now(unit)
        uri = f"qemu+tls://{self.hypervisor.name}/system?pkipath={folder}&no_sanity=1"
        if self.hypervisor.run(["virsh", "-c", uri, "list"], check=False).returncode == 0:
            return True
        return self._refused(since, unit, LIBVIRT_REFUSES)

    def _nbd(self, folder: str) -> bool | None:
        """Read a byte of the image, the first of every qcow2."""
        unit = "edge-nbd.service"
        since = self._now(unit)
        tls = f"tls-creds-x509,id=t,dir={folder},endpoint=client,sanity-check=off"
        image = f"driver=nbd,server.type=inet,server.host=127.0.0.1,server.port=10809,export={self.image},tls-creds=t"
        read = ["qemu-io", "--object", tls, "-r", "--image-opts", "-c", f"read -P {ord('Q')} 0 1", image]
        done = self.hypervisor.run(read, check=False)
        if done.returncode == 0 and "read 1/1 bytes" in done.stdout:
            return True
        return self._refused(since, unit, NBD_REFUSES)

    def _now(self, unit: str) -> str:
        """Return where the journal of a unit ends; journalctl of Debian 12 skips one entry after the cursor of another unit."""
        self.hypervisor.run(["journalctl", "--sync"])
        shown = self.hypervisor.run(["journalctl", f"--unit={unit}", "--lines=1", "--output=cat", "--show-cursor"]).stdout
        return shown.rpartition("-- cursor: ")[2].strip()

    def _refused(self, since: str, unit: str, words: re.Pattern[str]) -> bool | None:
        """Return False if the server wrote since then that it refused the client for its certificate."""
        self.hypervisor.run(["journalctl", "--sync"])
        shown = self.hypervisor.run(["journalctl", f"--after-cursor={since}", f"--unit={unit}", "--output=cat"], check=False).stdout
        return False if words.search(shown) else None


def _answer(door: str, tried: Callable[[], bool | None]) -> bool:
    """Try until there is a clear answer, never longer than minutes."""
    end = time.monotonic() + 300
    while (answer := tried()) is None:
        assert time.monotonic() < end, f"{door} neither let the key in nor said that it refuses it"
        time.sleep(1)
    return answer
