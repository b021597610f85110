# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in one folder, by digest: manifests, the catalogue, and the users of an image."""
