# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery points on the VM's own host: which disks are in one, libvirt's checkpoints, the copy of what changed, and the journal.

What it makes is a folder of files that replicas take (``_generation``). It may import what is below it: job, host, options, xml and
model. Disk files are made by the tool that ``model/image_tools`` describes."""
