# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark of arrival in a domain's metadata, beside our record: it comes and goes with the domain."""

from __future__ import annotations

from xml.etree.ElementTree import Element, tostring

from ..model.elsewhere import Arrival

PREFIX = "edge-arrival"
NAMESPACE = "https://edge.cloud/xmlns/arrival/1"  # libvirt keeps one element for each namespace
TAG = "arrival"


def read_arrival(root: Element) -> Arrival | None:
    """Return the mark of a domain's XML, None where it did not come by migration."""
    found = root.find(f"metadata/{{{NAMESPACE}}}{TAG}")
    return None if found is None else Arrival(found.get("source", ""), found.get("when", ""))


def arrival_text(arrival: Arrival) -> str:
    """Return the mark as libvirt's setMetadata() takes it."""
    return tostring(Element(TAG, {"source": arrival.source, "when": arrival.when}), encoding="unicode")
