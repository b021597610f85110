# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports of recovery points that hosts ask replicas for, each for a time. Stands on recovery points."""
