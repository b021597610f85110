# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images from outside into the image datastore: downloads, signatures, decompression, marketplaces."""
