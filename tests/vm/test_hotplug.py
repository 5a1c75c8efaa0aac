# SPDX-License-Identifier: GPL-2.0-or-later
"""A PF is torn out while a VF of it is leased, another card is put in its place, and then it itself."""
import pathlib
import subprocess
import unittest

import machine
from machine import PF, REPO, netdev_of, run, vfbroker, vfbroker_json, wait_for

QMP = REPO / "tests/vm/qmp"


MAC = (pathlib.Path(f"/sys/bus/pci/devices/{PF}/net") / netdev_of() / "address").read_text().strip()
OTHER = "52:54:00:00:00:99"


def tear_out(*options):
    run("python3", QMP, *options, '{"execute": "device_del", "arguments": {"id": "nic0"}}')


def plug_in(mac):
    run("python3", QMP, '{"execute": "device_add", "arguments": {"driver": "igb", "id": "nic0",'
        f' "bus": "rp-nic0", "netdev": "net-nic0", "mac": "{mac}"}}}}')


class Hotplug(machine.Test):
    config = machine.CONFIG.format(vfs=4).replace("vfs =", f'mac = "{MAC}"\nvfs =')

    def pf_state(self):
        return vfbroker_json("status")["physicalFunctions"][0]

    def test_torn_out_and_plugged_in_again(self):
        holder = subprocess.Popen(
            ["vfbroker", "run", "guests", "--backend", "group", "--", "bash", "-c",
             "exec 9<>/dev/vfio/$(ls /dev/vfio | grep -v -e vfio -e devices | head -n1); sleep 1000",
             "bash", "{}"])
        self.addCleanup(holder.kill)
        lease = wait_for("the lease is there", lambda: vfbroker_json("leases")["leases"])[0]
        tear_out()
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

        # Another card at its address: nothing is done to it.
        plug_in(OTHER)
        self.daemon.wait_for_log(rf"find PF uplink \(address {PF}, mac {MAC}\): no function of this "
                                 rf"machine matches all of it: {PF} has mac {OTHER}")
        state = self.pf_state()
        self.assertEqual(state["state"], "missing")
        self.assertIn(f"{PF} has mac {OTHER}", state["problem"])
        self.assertIn(f"{PF} has mac {OTHER}", vfbroker("plan", status=2).stdout)
        self.assertEqual(pathlib.Path(f"/sys/bus/pci/devices/{PF}/sriov_numvfs").read_text(), "0\n")
        tear_out("--wait", "DEVICE_DELETED:nic0")

        plug_in(MAC)
        self.wait_for_clean(self.vfs)
        self.assertEqual(self.pf_state()["state"], "ready")
        self.assertEqual(self.pf_state()["present"], self.vfs)
        again = vfbroker_json("lease", "guests")["lease"]
        self.assertGreater(again["id"], lease["id"])
        vfbroker("release", again["id"])
        self.wait_for_clean(self.vfs)


if __name__ == "__main__":
    unittest.main(verbosity=2)
