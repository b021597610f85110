# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Long jobs of QEMU through libvirt: block jobs, push backups, and quiescing the guest for them."""
