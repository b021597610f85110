# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One disk of a VM: flattened, or copied to a file, while the guest runs."""
