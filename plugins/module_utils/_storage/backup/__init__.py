# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of recovery points and of files in a repository of restic: planned, made, removed by age, verified and restored."""
