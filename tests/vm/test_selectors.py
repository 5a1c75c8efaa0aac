# SPDX-License-Identifier: GPL-2.0-or-later
"""The selectors of a PF are changed so that they mean another card (./dev vm --nics 2): what was
leased of the first one stays, and no guest gets a VF of the wrong one."""
import json
import pathlib
import signal
import unittest

import machine
from machine import PF, vfbroker, vfbroker_json, wait_for

OTHER = "0000:02:00.0"
FIRST = machine.CONFIG.format(vfs=4)
SECOND = FIRST.replace(PF, OTHER)
REASON = f"PF uplink was {PF}, and its selectors mean {OTHER} now"


def vfs(pf):
    return int(pathlib.Path(f"/sys/bus/pci/devices/{pf}/sriov_numvfs").read_text())


def vlan(index):
    return machine.kernel_attributes(index).get("vlan_list", [{}])[0].get("vlan", 0)


class Selectors(machine.Test):
    def setUp(self):
        super().setUp()
        self.wait_for_clean(4)

    def finish(self):
        super().finish()
        device = pathlib.Path(f"/sys/bus/pci/devices/{OTHER}")
        (device / "sriov_numvfs").write_text("0")
        (device / "sriov_drivers_autoprobe").write_text("1")

    def assert_refused(self, leased):
        pf, = vfbroker_json("status")["physicalFunctions"]
        self.assertEqual((pf["state"], pf["address"]), ("failed", PF))
        self.assertIn(REASON, pf["problem"])
        refused = vfbroker("lease", "guests", "--guest", "web2", status=5).stderr
        self.assertIn("1 leased" if leased else REASON, refused)
        planned, = json.loads(vfbroker("plan", "--json", status=2).stdout)["physicalFunctions"]
        self.assertIn(REASON, planned["blocked"][0]["message"])
        self.assertIn("with another name", planned["blocked"][0]["hint"])
        self.assertIn(REASON, vfbroker("resize", "uplink", "2", status=5).stderr)
        self.assertEqual((planned["changes"], vfs(PF), vfs(OTHER)), ([], 4, 0))

    def test_leases_live_on_and_nothing_is_mixed_up(self):
        lease = vfbroker_json("lease", "guests", "--guest", "web", "--vlan", "5")["lease"]
        function, = lease["functions"]
        index = function["index"]
        self.daemon.configure(SECOND)
        vfbroker("reload")
        self.assert_refused(leased=1)
        self.daemon.stop(signal.SIGKILL)
        self.daemon.start()
        self.assert_refused(leased=1)
        kept, = vfbroker_json("leases")["leases"]
        self.assertEqual((kept["id"], kept["functions"][0]["address"], kept["functions"][0]["lost"]),
                         (lease["id"], function["address"], False))
        self.assertEqual(vlan(index), 5)
        self.assertIn("Not everything could be applied",
                      vfbroker("apply", "--yes", status=5).stdout)

        before = len(self.daemon.log())
        vfbroker("release", lease["id"])
        wait_for("it is scrubbed",
                 lambda: f"{function['address']} is clean" in self.daemon.log()[before:])
        self.assertEqual(vlan(index), 0)
        self.assertEqual(self.pool()["absent"], 4)
        self.assert_refused(leased=0)

        # As it is advised.
        self.daemon.configure(SECOND.replace("uplink", "other"))
        vfbroker("apply", "--yes")
        self.assertEqual((vfs(PF), vfs(OTHER), self.pool()["clean"]), (0, 4, 4))
        vfbroker("plan")

    def test_selectors_that_are_set_back(self):
        lease = vfbroker_json("lease", "guests", "--guest", "web")["lease"]
        # None at all is no reason to go on, either.
        self.daemon.configure(FIRST.replace(PF, "0000:09:00.0"))
        vfbroker("reload")
        pf, = vfbroker_json("status")["physicalFunctions"]
        self.assertEqual(pf["state"], "failed")
        self.assertIn("no function of this machine matches", pf["problem"])
        vfbroker("lease", "guests", "--guest", "web2", status=5)
        self.daemon.configure(FIRST)
        vfbroker("reload")
        self.wait_for_clean(3)
        vfbroker("release", lease["id"])
        self.wait_for_clean(4)
        # Another way to say the same.
        self.daemon.configure(FIRST.replace("vfs =", "driver = 'igb'\nvfs ="))
        vfbroker("reload")
        wait_for("it is ready", lambda: vfbroker_json(
            "status")["physicalFunctions"][0]["state"] == "ready")
        self.assertEqual(self.pool()["clean"], 4)


if __name__ == "__main__":
    unittest.main(verbosity=2)
