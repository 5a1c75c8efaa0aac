# SPDX-License-Identifier: GPL-2.0-or-later
"""The Ansible module vfbroker_config, as it is installed, in playbooks of Debian's ansible-core."""
import json
import os
import pathlib
import re
import unittest

import machine
from machine import PF, run, vfbroker, vfbroker_json

DEVICE = pathlib.Path(f"/sys/bus/pci/devices/{PF}")
FILE = pathlib.Path("/etc/vfbroker/vfbroker.toml")
RESULT = re.compile(r"^(ok|changed|fatal): \[localhost\](?:: FAILED!)? => (\{.*\})$", re.MULTILINE)

FOUR = machine.CONFIG.format(vfs=4)
SIX = machine.CONFIG.format(vfs=6)


def task(content, **more):
    parameters = {"state": "absent"} if content is None else {"content": content}
    keywords = {key: more.pop(key) for key in ("check_mode", "ignore_errors") if key in more}
    return {"vfbroker.vfbroker.vfbroker_config": {**parameters, **more}, **keywords}


def vfs():
    return len(list(DEVICE.glob("virtfn*")))


class Ansible(machine.Test):
    config = ""  # the file is there, and says nothing

    def play(self, *tasks, options=()):
        """Runs a playbook; what came of each task, and all that was printed."""
        playbook = pathlib.Path("/tmp/playbook.yml")
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False,
                                         "tasks": list(tasks)}]), encoding="utf-8")
        # Pipelining: fewer processes, which are dear under emulation.
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": "/tmp/ansible",
                       "ANSIBLE_PIPELINING": "1"}
        said = run("ansible-playbook", "-v", "-i", "localhost,", "-c", "local",
                   "-e", "ansible_python_interpreter=/usr/bin/python3", *options, playbook,
                   env=environment).stdout
        results = [(how, json.loads(text)) for how, text in RESULT.findall(said)]
        self.assertEqual(len(results), len(tasks), said)
        return results, said

    def test_from_the_first_run_to_the_last(self):
        with self.subTest("check mode changes nothing, and shows the plan"):
            results, said = self.play(task(FOUR), options=("--check", "--diff"))
            self.assertEqual([how for how, _ in results], ["changed"])
            self.assertIn("+ create 4 VFs", said)
            self.assertIn('+address = "0000:01:00.0"', said)
            self.assertEqual(results[0][1]["plan"]["add"], 5)
            self.assertEqual((FILE.read_text(encoding="utf-8"), vfs()), ("", 0))

        with self.subTest("changed once; what is refused changes nothing"):
            results, said = self.play(
                task(FOUR, mode="0640"),
                task(SIX, check_mode=True),
                task(FOUR.replace("vfs", "vsf"), ignore_errors=True),
                # More than the card has: seen when it is planned.
                task(machine.CONFIG.format(vfs=8), ignore_errors=True),
                # Seen when it is applied.
                task(FOUR + "[pool.guests.attributes]\nvlan = 5\nvlan_protocol = '802.1ad'\n",
                     ignore_errors=True),
                task(FOUR, mode="0640"))
            self.assertEqual([how for how, _ in results],
                             ["changed", "changed", "fatal", "fatal", "fatal", "ok"], said)
            (applied, checked, malformed, too_many, untaken, again) = (
                result for _, result in results)
            self.assertIn("uplink: create 4 VFs", applied["applied"])
            self.assertIn("uplink: remove its 4 VFs and create 6", checked["applied"])
            self.assertIn("/etc/vfbroker/vfbroker.toml:4:1: unknown key 'vsf'", malformed["msg"])
            self.assertIn("hint: did you mean 'vfs'?", malformed["msg"])
            self.assertEqual(malformed["error"]["subject"], "/etc/vfbroker/vfbroker.toml:4:1")
            self.assertIn("cannot create 8 VFs on 0000:01:00.0: it can have at most 7", too_many["msg"])
            self.assertNotIn("restored", too_many)
            self.assertFalse(too_many["changed"])
            self.assertIn("cannot set vlan=5 vlan_protocol=802.1ad", untaken["msg"])
            self.assertEqual((untaken["restored"], untaken["changed"]), (True, False))
            self.assertEqual(again["applied"], [])
            self.assertEqual((FILE.read_text(encoding="utf-8"), vfs()), (FOUR, 4))
            self.assertEqual(FILE.stat().st_mode & 0o777, 0o640)
            # When the task ends, all of it is done.
            self.assertEqual(self.pool()["clean"], 4)

        with self.subTest("a lease in the way is named; what drifted is set right"):
            lease = vfbroker_json("lease", "guests", "--guest", "web")["lease"]
            leased = int(lease["functions"][0]["index"])
            other = (leased + 1) % 4
            run("ip", "link", "set", machine.netdev_of(), "vf", other, "vlan", "7")
            machine.wait_for("it is noticed", lambda: self.pool()["quarantined"] == 1)
            results, said = self.play(task(SIX, ignore_errors=True), task(FOUR))
            self.assertEqual([how for how, _ in results], ["fatal", "changed"], said)
            (_, refused), (_, repaired) = results
            self.assertIn(f"lease {lease['id']} (guest web", refused["msg"])
            self.assertIn(lease["functions"][0]["address"], refused["msg"])
            self.assertEqual(refused["error"]["code"], "busy")
            self.assertEqual(len(repaired["applied"]), 1)
            self.assertRegex(repaired["applied"][0],
                             rf"^uplink/{other}: scrub again: .* changed vlan from 0 to 7$")
            self.assertEqual(machine.kernel_attributes(other).get("vlan_list", [{}])[0]
                             .get("vlan", 0), 0)
            self.assertEqual((FILE.read_text(encoding="utf-8"), vfs()), (FOUR, 4))
            vfbroker("release", lease["id"])
            self.wait_for_clean(4)

        with self.subTest("from the file to none"):
            results, said = self.play(task(SIX, backup=True), task(None), task(None))
            self.assertEqual([how for how, _ in results], ["changed", "changed", "ok"], said)
            backup = pathlib.Path(results[0][1]["backup_file"])
            self.assertEqual(backup.read_text(encoding="utf-8"), FOUR)
            self.assertFalse(FILE.exists())
            self.assertEqual(vfs(), 0)
            vfbroker("plan")


if __name__ == "__main__":
    unittest.main(verbosity=2)
