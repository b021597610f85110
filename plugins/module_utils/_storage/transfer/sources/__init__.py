# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources of a pull: an image server over HTTPS, or a folder of this host."""
