# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Catalogues of marketplaces, each kind parsed into the same appliances."""
