#!/usr/bin/python
# -*- coding: utf-8 -*-
# SPDX-License-Identifier: GPL-2.0-or-later
"""A file of vfbroker's configuration, and what it says, put into force."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
module: vfbroker_config
short_description: Configure vfbroker and apply the configuration
description:
  - Writes a file of the configuration of C(vfbrokerd), and brings the machine to what the configuration says.
  - The daemon checks the new text and plans with it before the file is touched. A text that is malformed is refused with line
    and column. When a lease or a use of the host is in the way, the task fails and names it. Nothing is changed in both cases.
  - When applying fails, the file that was there before is restored and applied again.
  - What other programs have changed on VFs of pools is set right, also when the file is as it should be; that counts as a change.
options:
  path:
    description: The file, in the folder that the daemon reads. Its name ends in C(.toml).
    type: path
    default: /etc/vfbroker/vfbroker.toml
  content:
    description: The text of the file. Use lookups for files and templates of the controller.
    type: str
  src:
    description: A file on the managed host that has the text.
    type: path
  state:
    description:
      - C(present) has the file with that text and applies the configuration.
      - C(absent) has no such file and applies the configuration without it. What no file names is given back to the host.
    type: str
    choices: [present, absent]
    default: present
  backup:
    description: Keep a copy of the file that was there before, with the time in its name.
    type: bool
    default: false
extends_documentation_fragment: files
attributes:
  check_mode:
    support: full
    description: Tells what would be changed, as C(vfbroker plan) does, and changes nothing.
  diff_mode:
    support: full
    description: The difference of the file, and the plan.
notes:
  - Needs root on the managed host, and a daemon that runs or that its socket starts.
seealso:
  - name: vfbroker.toml(5)
    description: The format of the file.
  - name: vfbroker(1)
    description: C(plan) and C(apply).
author: The vfbroker developers (@vfbroker)
"""

EXAMPLES = r"""
- name: Four VFs for guests
  vfbroker.vfbroker.vfbroker_config:
    content: |
      [pf.uplink]
      address = "0000:01:00.0"
      vfs = 4

      [pool.guests]
      pf = "uplink"
      allow_groups = ["kvm"]

- name: A template of the controller, in a file of its own
  vfbroker.vfbroker.vfbroker_config:
    path: /etc/vfbroker/20-storage.toml
    content: "{{ lookup('ansible.builtin.template', 'storage.toml.j2') }}"
    mode: "0644"
    backup: true

- name: Those VFs go back to the host
  vfbroker.vfbroker.vfbroker_config:
    path: /etc/vfbroker/20-storage.toml
    state: absent
"""

RETURN = r"""
path:
  description: The file.
  returned: always
  type: str
  sample: /etc/vfbroker/vfbroker.toml
plan:
  description: What was to be changed, as C(vfbroker plan --json) has it.
  returned: when the new text is in order
  type: dict
applied:
  description: What was done on the machine, or would be in check mode; each entry is a function or pool and what.
  returned: success
  type: list
  elements: str
  sample: ["uplink: remove its 4 VFs and create 6", "uplink/0: into pool guests"]
later:
  description: What will be done when leases end.
  returned: success
  type: list
  elements: str
left:
  description: What could not be done, as a plan.
  returned: when only a part could be done
  type: dict
restored:
  description: Whether the file that was there before is in force again.
  returned: when applying failed and the file had been changed
  type: bool
backup_file:
  description: The copy of the old file.
  returned: when I(backup) is set and there was one
  type: str
error:
  description: The error of vfbroker, with C(code), C(errno), C(operation), C(subject), C(message) and C(hint).
  returned: failure
  type: dict
"""

import json
import os
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_bytes, to_native


class Refused(Exception):
    """What vfbroker says when it does not do something."""

    def __init__(self, error, **more):
        super(Refused, self).__init__(error.get("message", ""))
        self.error = error
        self.more = more


def in_words(error):
    hint = error.get("hint")
    return error["message"] + ("\nhint: " + hint if hint else "")


def changes_of(plan):
    for function in plan["physicalFunctions"]:
        for change in function["changes"]:
            yield change
    for change in plan.get("pools", []):
        yield change


def blocked_in(plan):
    return [refusal for function in plan["physicalFunctions"] for refusal in function["blocked"]]


def first_in_the_way(plan):
    """One error that names all that is in the way; None: nothing is."""
    blocked = blocked_in(plan)
    if not blocked:
        return None
    hints = []
    for refusal in blocked:
        if refusal["hint"] and refusal["hint"] not in hints:
            hints.append(refusal["hint"])
    return dict(blocked[0], message="; ".join(refusal["message"] for refusal in blocked),
                hint="; ".join(hints))


class Configuration(object):
    def __init__(self, module):
        self.module = module
        self.program = module.get_bin_path("vfbroker", required=True, opt_dirs=["/usr/sbin"])
        self.path = module.params["path"]
        self.before = self.read(self.path) if os.path.lexists(self.path) else None
        self.after = self.wanted()
        self.result = {"changed": False, "path": self.path}

    def read(self, path):
        try:
            with open(path, "rb") as file:
                return file.read()
        except (IOError, OSError) as error:
            return self.module.fail_json(msg="cannot read %s: %s" % (path, to_native(error)))

    def wanted(self):
        """The text the file is to have; None: there is to be no file."""
        if self.module.params["state"] == "absent":
            return None
        if self.module.params["src"] is not None:
            return self.read(self.module.params["src"])
        return to_bytes(self.module.params["content"])

    def call(self, *arguments):
        """What vfbroker prints as JSON; raises what it refuses."""
        status, out, err = self.module.run_command([self.program] + list(arguments) + ["--json"])
        try:
            answer = json.loads(out)
        except ValueError:
            raise Refused({"code": "failed", "message": (err or out).strip() or
                           "vfbroker %s ended with %d" % (arguments[0], status), "hint": ""})
        if "error" in answer:
            raise Refused(answer["error"])
        return answer

    def plan_arguments(self, new):
        if self.after is None:
            return ["plan", "--without", self.path]
        return ["plan", "--with", "%s=%s" % (self.path, new)]

    def plan(self):
        """The plan with the new text, which is nowhere in the configuration yet."""
        fd, new = tempfile.mkstemp(dir=self.module.tmpdir, suffix=".toml")
        with os.fdopen(fd, "wb") as file:
            file.write(self.after or b"")
        arguments = self.plan_arguments(new)
        plan = self.call(*arguments)
        if self.module._diff:
            self.result["diff"] = [self.difference(), {
                "prepared": self.module.run_command([self.program] + arguments)[1]}]
        os.unlink(new)
        return plan

    def difference(self):
        def side(text):
            return "" if text is None else to_native(text, errors="surrogate_or_replace")

        def name(text):
            return "/dev/null" if text is None else self.path
        return {"before_header": name(self.before), "before": side(self.before),
                "after_header": name(self.after), "after": side(self.after)}

    def write(self, text):
        """The file has that text, at once and as a whole; None: it is gone."""
        if text is None:
            if os.path.lexists(self.path):
                os.unlink(self.path)
            return
        fd, new = tempfile.mkstemp(dir=self.module.tmpdir)
        with os.fdopen(fd, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self.module.atomic_move(new, self.path,
                                unsafe_writes=self.module.params["unsafe_writes"])

    def apply(self):
        left = self.call("apply", "--yes")
        what = first_in_the_way(left)
        if what is None and list(changes_of(left)):
            change = next(changes_of(left))
            what = {"code": "failed", "hint": "vfbroker plan",
                    "message": "not everything could be applied: %s: %s" % (
                        change["subject"], change["text"])}
        if what is not None:
            raise Refused(what, left=left)

    def put_back(self):
        """After a failure: the old file, and what it says. Whether that could be done."""
        self.write(self.before)
        try:
            self.apply()
        except Refused:
            return False
        return True

    def replace(self):
        """Writes the file and applies it, or neither."""
        if self.before != self.after:
            if self.module.params["backup"] and self.before is not None:
                self.result["backup_file"] = self.module.backup_local(self.path)
            self.write(self.after)
        try:
            self.apply()
        except Refused as refused:
            if self.before != self.after:
                refused.more["restored"] = self.put_back()
            raise

    def set_attributes(self):
        """Owner, group and mode; whether they were others."""
        if self.after is None or not os.path.exists(self.path):
            return False
        wanted = self.module.load_file_common_arguments(self.module.params, path=self.path)
        return self.module.set_fs_attributes_if_different(wanted, False)

    def run(self):
        plan = self.plan()
        self.result["plan"] = plan
        self.result["applied"] = ["%s: %s" % (change["subject"], change["text"])
                                  for change in changes_of(plan)]
        self.result["later"] = [text for function in plan["physicalFunctions"]
                                for text in function["later"]]
        in_the_way = first_in_the_way(plan)
        if in_the_way is not None:
            raise Refused(in_the_way)
        self.result["changed"] = self.before != self.after or bool(self.result["applied"])
        if self.result["changed"] and not self.module.check_mode:
            self.replace()
        if self.set_attributes():
            self.result["changed"] = True
        return self.result


def main():
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/vfbroker/vfbroker.toml"},
            "content": {"type": "str"},
            "src": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "backup": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("content", "src")],
        required_if=[("state", "present", ("content", "src"), True)],
        add_file_common_args=True,
        supports_check_mode=True)
    if not os.path.isabs(module.params["path"]):
        module.fail_json(msg="path is not absolute: %s" % module.params["path"])
    configuration = Configuration(module)
    try:
        module.exit_json(**configuration.run())
    except Refused as refused:
        result = dict(configuration.result, **refused.more)
        # Put back is as if nothing had been; done in part is not.
        result["changed"] = result["changed"] and not result.get("restored", False)
        result.pop("applied", None)
        module.fail_json(msg=in_words(refused.error), error=refused.error, **result)


if __name__ == "__main__":
    main()
