# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options by which modules reach a repository of restic."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment edge.cloud.restic."""

    DOCUMENTATION = r"""
options:
  repository:
    description:
      - The repository as restic writes it, such as V(/srv/backup), V(sftp:backup@host.example:/srv/backup) or
        V(s3:https://s3.example/bucket).
      - For SFTP the user that the module runs as needs a key without a passphrase, and the host's key in its C(known_hosts).
    type: str
    required: true
  password:
    description:
      - The password of the repository. Keep it elsewhere too. Without it nothing in the repository can be read again, ever.
      - No command line has it; restic reads it from its environment.
      - Give this or O(password_file).
    type: str
  password_file:
    description:
      - A file on the host that has the password of the repository.
    type: path
  environment:
    description:
      - More variables of restic's environment, such as C(AWS_ACCESS_KEY_ID) and C(AWS_SECRET_ACCESS_KEY) of a repository in S3.
      - Neither results nor logs show their values.
    type: dict
    default: {}
requirements:
  - restic
  - setpriv, of the package util-linux
"""
