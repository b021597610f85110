# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the file of addresses. Addresses are their bytes, 4 or 16, in the order of their numbers. Pure.

``address`` has what is leased (it has a lease) and what cools down (it has none). ``free`` has what may be given, as intervals: the
lowest free address is one look-up, in a subnet of any size. It follows from the other tables, and changes in the same transactions.
"""

from __future__ import annotations

APPLICATION = 0x65644164  # "edAd"
VERSION = 1
SCHEMA = f"""
BEGIN;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};

CREATE TABLE clock (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  passed REAL NOT NULL,
  boot TEXT NOT NULL,
  uptime REAL NOT NULL,
  wall REAL NOT NULL
) STRICT;

CREATE TABLE network (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  cluster TEXT,
  mac_prefix TEXT NOT NULL,
  cool_down INTEGER NOT NULL CHECK (cool_down >= 0)
) STRICT;

CREATE TABLE subnet (
  network INTEGER NOT NULL REFERENCES network ON DELETE CASCADE,
  family INTEGER NOT NULL CHECK (family IN (4, 6)),
  first BLOB NOT NULL CHECK (length(first) = CASE family WHEN 4 THEN 4 ELSE 16 END),
  last BLOB NOT NULL CHECK (length(last) = length(first) AND last >= first),
  prefix_length INTEGER NOT NULL,
  gateway BLOB CHECK (length(gateway) = length(first) AND gateway BETWEEN first AND last),
  UNIQUE (network, family, first)
) STRICT;
CREATE INDEX subnet_first ON subnet (family, first);

CREATE TABLE span (
  network INTEGER NOT NULL REFERENCES network ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('range', 'hold', 'reservation')),
  family INTEGER NOT NULL CHECK (family IN (4, 6)),
  first BLOB NOT NULL CHECK (length(first) = CASE family WHEN 4 THEN 4 ELSE 16 END),
  last BLOB NOT NULL CHECK (length(last) = length(first) AND last >= first),
  vm TEXT CHECK ((vm IS NULL) = (kind != 'reservation')),
  UNIQUE (network, kind, family, first)
) STRICT;
CREATE INDEX span_vm ON span (network, vm) WHERE vm IS NOT NULL;

CREATE TABLE lease (
  id INTEGER PRIMARY KEY,
  network INTEGER NOT NULL REFERENCES network ON DELETE RESTRICT,
  vm TEXT NOT NULL,
  nic TEXT NOT NULL,
  mac TEXT NOT NULL,
  UNIQUE (network, vm, nic),
  UNIQUE (network, mac)
) STRICT;
CREATE INDEX lease_vm ON lease (vm);

CREATE TABLE address (
  network INTEGER NOT NULL REFERENCES network ON DELETE CASCADE,
  address BLOB NOT NULL CHECK (length(address) IN (4, 16)),
  lease INTEGER REFERENCES lease ON DELETE RESTRICT,
  vm TEXT NOT NULL,
  nic TEXT NOT NULL,
  static INTEGER NOT NULL CHECK (static IN (0, 1)),
  released REAL,
  UNIQUE (network, address),
  CHECK ((lease IS NULL) = (released IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX address_lease ON address (lease, length(address)) WHERE lease IS NOT NULL;
CREATE INDEX address_cooling ON address (network, released) WHERE released IS NOT NULL;
CREATE INDEX address_former ON address (network, vm, nic) WHERE released IS NOT NULL;

CREATE TABLE free (
  network INTEGER NOT NULL REFERENCES network ON DELETE CASCADE,
  family INTEGER NOT NULL CHECK (family IN (4, 6)),
  owner TEXT NOT NULL,
  first BLOB NOT NULL CHECK (length(first) = CASE family WHEN 4 THEN 4 ELSE 16 END),
  last BLOB NOT NULL CHECK (length(last) = length(first) AND last >= first),
  UNIQUE (network, family, first)
) STRICT;
CREATE INDEX free_owner ON free (network, family, owner, first);
COMMIT;
"""
