# SPDX-License-Identifier: GPL-2.0-or-later
"""A PF is torn out while a VF of it is leased, and plugged in again."""
import pathlib
import subprocess
import unittest

import machine
from machine import PF, REPO, run, vfbroker, vfbroker_json, wait_for

QMP = REPO / "tests/vm/qmp"


class Hotplug(machine.Test):
    def pf_state(self):
        return vfbroker_json("status")["physicalFunctions"][0]

    def test_torn_out_and_plugged_in_again(self):
        holder = subprocess.Popen(
            ["vfbroker", "run", "guests", "--backend", "group", "--", "bash", "-c",
             "exec 9<>/dev/vfio/$(ls /dev/vfio | grep -v -e vfio -e devices | head -n1); sleep 1000",
             "bash", "{}"])
        self.addCleanup(holder.kill)
        lease = wait_for("the lease is there", lambda: vfbroker_json("leases")["leases"])[0]
        run("python3", QMP, '{"execute": "device_del", "arguments": {"id": "nic0"}}')
        self.daemon.wait_for_log("went away under lease|is taking .* away from lease")
        holder.kill()
        holder.wait()
        wait_for("the PF is gone", lambda: not pathlib.Path(f"/sys/bus/pci/devices/{PF}").exists())
        wait_for("the daemon says so", lambda: self.pf_state()["state"] == "missing")
        self.assertIn("it was removed from the machine", self.pf_state()["problem"])
        self.assertNotIn(PF, vfbroker("list", "--all").stdout)
        self.assertEqual(vfbroker_json("leases")["leases"], [])
        self.assertEqual(self.pool()["absent"], self.vfs)
        refused = vfbroker("lease", "guests", status=None)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("removed", refused.stderr)

        run("python3", QMP, '{"execute": "device_add", "arguments": {"driver": "igb", "id": "nic0",'
            ' "bus": "rp-nic0", "netdev": "net-nic0"}}')
        self.wait_for_clean(self.vfs)
        self.assertEqual(self.pf_state()["state"], "ready")
        self.assertEqual(self.pf_state()["present"], self.vfs)
        again = vfbroker_json("lease", "guests")["lease"]
        self.assertGreater(again["id"], lease["id"])
        vfbroker("release", again["id"])
        self.wait_for_clean(self.vfs)


if __name__ == "__main__":
    unittest.main(verbosity=2)
