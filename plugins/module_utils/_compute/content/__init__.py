# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest reads at boot, as text: user data, network configuration, context. No value appears in an error. Imports nothing of
``_compute``; only ``schema`` runs a program."""
