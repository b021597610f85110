# SPDX-FileCopyrightText: 2026 The edge.cloud authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's side of the module host_files: it renders templates and reads files, and sends their text with the task."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

MANAGED = "Ansible managed"


class ActionModule(ActionBase):
    """Runs the module with the text of each file as its content."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """See ActionBase."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        self._gone = arguments.get("state") == "absent"
        for option in ("files", "units"):
            entries = arguments.get(option)
            if isinstance(entries, list):
                arguments[option] = [
                    self._sent(entry, f"{option}[{place}]", task_vars or {}) if isinstance(entry, dict) else entry
                    for place, entry in enumerate(entries)
                ]
        done = self._execute_module(module_name="edge.cloud.host_files", module_args=arguments, task_vars=task_vars)
        return {**result, **done}

    def _sent(self, entry: dict[str, Any], option: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return an entry with its text in place of the name of a template or file."""
        sent = dict(entry)
        template, source = sent.pop("template", None), sent.pop("source", None)
        given = [name for name in ("content", "secret_content", "copy_of") if sent.get(name) is not None]
        if len(given) + bool(template) + bool(source) > 1:
            raise AnsibleActionFail(f"{option}: give one of content, secret_content, template, source and copy_of, not several.")
        if (template or source) and (self._gone or sent.get("state") == "absent"):
            sent["content"] = ""  # it is removed, whatever it holds: a template may need variables that are not there any more
        elif template or source:
            sent["content"] = self._text(template, source, option, task_vars)
        if sent.get("content") is not None and boolean(sent.get("secret", False), strict=False):
            sent["secret_content"] = sent.pop("content")  # of what is called content, Ansible shows the text
        return sent

    def _text(self, template: str | None, source: str | None, option: str, task_vars: dict[str, Any]) -> str:
        try:
            path = self._find_needle("templates" if template else "files", template or source)
            text: str = self._loader.get_text_file_contents(path)
        except AnsibleError as error:
            raise AnsibleActionFail(f"{option}.{'template' if template else 'source'}: {error}") from error
        if not template:
            return text
        variables = {"ansible_managed": MANAGED, **task_vars, "template_path": path}
        folders = [f"{folder}{part}" for folder in task_vars.get("ansible_search_path", []) for part in ("/templates", "")]
        templar = self._templar.copy_with_new_env(searchpath=folders, available_variables=variables)
        rendered = templar.template(trust_as_template(text), escape_backslashes=False)
        return "" if rendered is None else str(rendered)
