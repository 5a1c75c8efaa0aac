# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host uses is not taken from it, and `show` says what it is used for."""
import os
import pathlib
import unittest

import machine
from machine import PF, run, vfbroker, vfbroker_json

DEVICE = pathlib.Path(f"/sys/bus/pci/devices/{PF}")


class InUse(unittest.TestCase):
    def setUp(self):
        # VFs that the host made for itself, each with its kernel driver.
        run("modprobe", "-q", "igbvf", status=None)
        (DEVICE / "sriov_drivers_autoprobe").write_text("1")
        (DEVICE / "sriov_numvfs").write_text("4")
        self.addCleanup((DEVICE / "sriov_numvfs").write_text, "0")
        self.vfs = [machine.vf_address(index) for index in range(4)]
        self.names = [machine.netdev_of(vf) for vf in self.vfs]

    def uses(self, function, **options):
        shown = vfbroker_json("show", function, **options)["function"]["uses"]
        return {use["kind"]: use["text"] for use in shown}

    def test_vfs_of_the_host(self):
        moved, member, used, free = self.names
        run("ip", "netns", "add", "web")
        self.addCleanup(run, "ip", "netns", "delete", "web", status=None)
        run("ip", "link", "set", moved, "netns", "web")
        run("ip", "link", "add", "br7", "type", "bridge")
        self.addCleanup(run, "ip", "link", "delete", "br7", status=None)
        run("ip", "link", "set", member, "master", "br7")
        run("ip", "address", "add", "192.0.2.1/24", "dev", used)
        daemon = machine.Daemon(vfs=4).start()
        self.addCleanup(daemon.stop)

        self.assertEqual([machine.driver_of(vf) for vf in self.vfs], ["igbvf"] * 3 + ["vfio-pci"])
        self.assertEqual(self.uses(self.vfs[0]), {
            "namespace": f"its interface {moved} is in the network namespace web"})
        self.assertEqual(self.uses(self.vfs[1]), {
            "member": f"{member} is a member of br7 (bridge)"})
        self.assertEqual(self.uses(self.vfs[2]), {
            "address": f"{used} has the address 192.0.2.1/24"})
        shown = vfbroker("show", self.vfs[0]).stdout
        self.assertIn("cannot take 0000:01:10.0 from the host: the host uses it: its interface "
                      f"{moved} is in the network namespace web", shown)
        pool = vfbroker_json("pool")["pools"][0]
        self.assertEqual((pool["clean"], pool["quarantined"]), (1, 3))

        # What ends is noticed at a reload.
        run("ip", "link", "delete", "br7")
        run("ip", "address", "flush", "dev", used)
        vfbroker("reload")
        machine.wait_for("three VFs are clean",
                         lambda: vfbroker_json("pool")["pools"][0]["clean"] == 3)
        self.assertEqual(machine.driver_of(self.vfs[0]), "igbvf")
        self.assertNotIn(free, os.listdir("/sys/class/net"))

    def test_the_session_of_the_caller(self):
        name = machine.netdev_of()
        run("ip", "link", "set", name, "up")
        run("ip", "address", "add", "192.0.2.1/24", "dev", name)
        self.addCleanup(run, "ip", "address", "flush", "dev", name)
        run("ip", "route", "add", "default", "via", "192.0.2.2")
        daemon = machine.Daemon("").start()
        self.addCleanup(daemon.stop)
        session = {**os.environ, "SSH_CONNECTION": "198.51.100.4 50022 192.0.2.1 22"}
        self.assertEqual(self.uses(PF, env=session), {
            "address": f"{name} has the address 192.0.2.1/24",
            "default-route": f"the default route leaves by {name}",
            "ssh": f"your SSH session from 198.51.100.4 comes in by {name}"})
        self.assertNotIn("ssh", self.uses(PF))

    def test_disks(self):
        disk = next(disk for disk in pathlib.Path("/sys/class/block").iterdir()
                    if disk.name.startswith("nvme"))
        # Its controller, or that of its multipath subsystem.
        controller = next(pathlib.Path("/sys/class/nvme").iterdir()).resolve()
        function = controller.parent.parent.name
        daemon = machine.Daemon("").start()
        self.addCleanup(daemon.stop)
        self.assertEqual(self.uses(function), {})
        run("mkfs.ext4", "-q", f"/dev/{disk.name}")
        run("mount", f"/dev/{disk.name}", "/mnt")
        self.addCleanup(run, "umount", "/mnt", status=None)
        self.assertEqual(self.uses(function), {"mount": f"{disk.name} is mounted at /mnt"})
        run("umount", "/mnt")
        with open(f"/dev/{disk.name}", "rb", opener=lambda path, flags: os.open(
                path, flags | os.O_EXCL)):
            self.assertEqual(list(self.uses(function)), ["claimed"])
        run("mkswap", f"/dev/{disk.name}")
        run("swapon", f"/dev/{disk.name}")
        self.addCleanup(run, "swapoff", f"/dev/{disk.name}", status=None)
        self.assertEqual(self.uses(function), {"swap": f"the host swaps to {disk.name}"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
