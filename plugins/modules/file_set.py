#!/usr/bin/python

# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_set
short_description: Have the files of a service as declared, all in one task
version_added: 1.0.0
description:
  - Makes directories and files what they are declared to be, in the order given, and removes from some directories what
    was not declared.
  - One call instead of a loop, because each item of a loop over M(ansible.builtin.template) costs a controller two
    round trips, thousands of times on a fleet. The content comes from the controller, as by the lookup
    P(ansible.builtin.template#lookup).
  - A file is replaced in one step, so that nobody sees half of it.
author:
  - The fleet.netconsole authors (@fleet-netconsole)
extends_documentation_fragment:
  - fleet.netconsole._attributes
  - fleet.netconsole._attributes.actiongroup
attributes:
  check_mode:
    support: full
    details:
      - Nothing is validated. A user or group that does not exist is taken as one that the real run will find.
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - Python 3.7 or newer
  - root
options:
  directories:
    description: Directories to have. What is above them is made with the usual permissions.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: An absolute path.
        type: path
        required: true
      owner:
        description: The name of its user.
        type: str
        default: root
      group:
        description: The name of its group.
        type: str
        default: root
      mode:
        description: Permissions, as an octal number in quotes.
        type: str
        default: "0755"
  files:
    description: Files to have.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: An absolute path.
        type: path
        required: true
      content:
        description: All that is in the file.
        type: str
        required: true
      owner:
        description: The name of its user.
        type: str
        default: root
      group:
        description: The name of its group.
        type: str
        default: root
      mode:
        description: Permissions, as an octal number in quotes.
        type: str
        default: "0644"
      validate:
        description:
          - A command that has to end with status 0 before the new file is put in place. C(%s) in it is that file. No
            shell runs it.
          - The files before this one in O(files) are in place then.
        type: str
  exclusive:
    description:
      - Directories that shall hold nothing but what is declared here. Everything else in them is removed, but
        C(__pycache__).
    type: list
    elements: path
    default: []
  pending:
    description:
      - A file in which the module notes what it is about to write, before it does so. What an earlier run has noted
        there is in RV(written) again, and RV(ignore:changed) is V(true), until somebody removes the file.
      - For a task that acts on RV(written), such as a restart. If the play ends between the two, the next run finds
        the files as declared, and without this would never restart the service.
      - A place in C(/run) is right for services - after a reboot, they run with the new files anyway.
    type: path
"""

EXAMPLES = r"""
---
- name: Have a service's configuration, and nothing that an older one left
  fleet.netconsole.file_set:
    directories:
      - path: /etc/example
        mode: "0750"
    files:
      - path: /etc/example/example.conf
        content: "{{ lookup('ansible.builtin.template', 'example.conf.j2') }}"
        mode: "0640"
    exclusive: [/etc/example]
    pending: /run/example.pending
  register: example_files

- name: Restart it for the new configuration
  ansible.builtin.systemd_service:
    name: example.service
    state: restarted
  when: "'/etc/example/example.conf' in example_files.written"

- name: Note that it runs with them
  ansible.builtin.file:
    path: /run/example.pending
    state: absent
  when: example_files.written | length > 0
"""

RETURN = r"""
written:
  description: Paths whose content, owner or permissions were changed, now or as O(pending) says, in the order given.
  returned: success
  type: list
  elements: str
  sample: [/etc/example/example.conf]
removed:
  description: Paths that were removed.
  returned: success
  type: list
  elements: str
  sample: [/etc/example/old.conf]
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleet.netconsole.plugins.module_utils._file_set import FileSetError, Host, Place, bring

PLACE: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
}


class _QuietModule(AnsibleModule):
    """Says in the host's log which files it was called for, not all that is in them."""

    def __init__(self, **options: Any) -> None:
        AnsibleModule.__init__(self, **options)

    def _log_invocation(self) -> None:
        paths = [place["path"] for place in self.params["directories"] + self.params["files"]]
        AnsibleModule.log(self, f"Invoked for {' '.join(paths)}")


def main() -> None:
    directory = {**PLACE, "mode": {"type": "str", "default": "0755"}}
    file = {
        **PLACE,
        "mode": {"type": "str", "default": "0644"},
        "content": {"type": "str", "required": True},
        "validate": {"type": "str"},
    }
    module: AnsibleModule = _QuietModule(
        argument_spec={
            "directories": {"type": "list", "elements": "dict", "default": [], "options": directory},
            "files": {"type": "list", "elements": "dict", "default": [], "options": file},
            "exclusive": {"type": "list", "elements": "path", "default": []},
            "pending": {"type": "path"},
        },
        supports_check_mode=True,
    )

    def run(command: str) -> tuple[int, str]:
        status, output, errors = module.run_command(command)
        return status, (output + errors).strip()

    def move(source: str, destination: str) -> None:
        # Not atomic_move: it gives a new file the permissions of the umask.
        module.set_context_if_different(source, module.selinux_default_context(destination), False)
        os.replace(source, destination)

    try:
        outcome = bring(
            [_place(module, given) for given in module.params["directories"] + module.params["files"]],
            exclusive=module.params["exclusive"],
            host=Host(move, run),
            dry_run=module.check_mode,
            pending=module.params["pending"],
        )
    except FileSetError as error:
        module.fail_json(msg=str(error))
    result: dict[str, Any] = {"changed": outcome.changed, "written": outcome.written, "removed": outcome.removed}
    if module._diff:
        removed = {"before": "".join(f"{path}\n" for path in outcome.removed), "after": "", "before_header": "removed"}
        result["diff"] = outcome.diff + ([removed] if outcome.removed else [])
    module.exit_json(**result)


def _place(module: AnsibleModule, given: dict[str, Any]) -> Place:
    """A place as the engine takes it."""
    try:
        mode = int(given["mode"], 8)
    except ValueError:
        module.fail_json(
            msg=f'mode of {given["path"]} is {given["mode"]!r}: it has to be an octal number such as "0644"'
        )
    content = given.get("content")
    return Place(
        path=given["path"],
        owner=given["owner"],
        group=given["group"],
        mode=mode,
        content=None if content is None else content.encode(),
        validate=given.get("validate"),
    )


if __name__ == "__main__":
    main()
