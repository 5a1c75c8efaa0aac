# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host uses is not taken from it, and `show` says what it is used for."""
import os
import pathlib
import socket
import subprocess
import sys
import unittest

import machine
from machine import PF, REPO, run, vfbroker, vfbroker_json, wait_for

DEVICE = pathlib.Path(f"/sys/bus/pci/devices/{PF}")
NODE = pathlib.Path("/dev/infiniband/uverbs0")
MAD_NODE = pathlib.Path("/dev/infiniband/umad0")


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

    def test_the_way_out_of_the_host(self):
        """Its default route, and a bond: neither is taken, removed nor replaced."""
        outward, bonded = self.names[:2]
        run("ip", "link", "set", machine.netdev_of(), "up")
        run("ip", "link", "set", outward, "up")
        run("ip", "address", "add", "192.0.2.1/24", "dev", outward)
        run("ip", "route", "add", "default", "via", "192.0.2.2", "dev", outward)
        run("modprobe", "-q", "bonding", status=None)
        run("ip", "link", "add", "bond7", "type", "bond", "mode", "active-backup")
        self.addCleanup(run, "ip", "link", "delete", "bond7", status=None)
        run("ip", "link", "set", bonded, "down")
        run("ip", "link", "set", bonded, "master", "bond7")
        daemon = machine.Daemon(vfs=4).start()
        self.addCleanup(daemon.stop)
        self.assertEqual(self.uses(self.vfs[0]), {
            "address": f"{outward} has the address 192.0.2.1/24",
            "default-route": f"the default route leaves by {outward}"})
        self.assertEqual(self.uses(self.vfs[1]), {
            "member": f"{bonded} is a member of bond7 (bond)"})

        def unharmed():
            self.assertEqual([machine.driver_of(vf) for vf in self.vfs[:2]], ["igbvf"] * 2)
            self.assertIn(f"dev {outward}", run("ip", "route", "show", "default").stdout)
            self.assertIn("master bond7", run("ip", "link", "show", "dev", bonded).stdout)
        # Who sets one reason aside has not set the other aside.
        for vf, despite, says in (
                (self.vfs[0], "address", f"the default route leaves by {outward}"),
                (self.vfs[1], "default-route", f"{bonded} is a member of bond7 (bond)")):
            self.assertIn(says, vfbroker("take", vf, "--despite", despite, status=5).stderr)
            unharmed()
        vfbroker("drain", "guests")
        self.assertIn("the default route leaves by", vfbroker("resize", PF, "2", status=5).stderr)
        unharmed()
        vfbroker("resume", "guests")
        daemon.configure(machine.CONFIG.format(vfs=2))
        refused = vfbroker("apply", "--yes", status=5)
        for says in ("the default route leaves by", "is a member of bond7"):
            self.assertIn(says, refused.stdout + refused.stderr)
        unharmed()

    def test_bound_sockets_name_their_process(self):
        tcp_name, packet_name = self.names[:2]
        tcp = socket.socket()
        self.addCleanup(tcp.close)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, tcp_name.encode())
        tcp.listen()
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.addCleanup(packet.close)
        packet.bind((packet_name, 0x0003))
        daemon = machine.Daemon(vfs=4).start()
        self.addCleanup(daemon.stop)

        name = pathlib.Path("/proc/self/comm").read_text(encoding="utf-8").strip()
        held = f"held by pid {os.getpid()} ({name})"
        self.assertEqual(self.uses(self.vfs[0]), {
            "socket": f"1 TCP socket is bound to {tcp_name}, {held}"})
        self.assertEqual(self.uses(self.vfs[1]), {
            "socket": f"1 packet socket is bound to {packet_name}, {held}"})
        refused = vfbroker("take", self.vfs[1], "--despite", "route", status=5).stderr
        self.assertIn(held, refused)
        self.assertEqual(machine.driver_of(self.vfs[1]), "igbvf")
        vfbroker("take", self.vfs[1], "--despite", "socket")
        self.assertEqual(machine.driver_of(self.vfs[1]), "vfio-pci")
        tcp.close()
        self.assertEqual(self.uses(self.vfs[0]), {})

    def start(self, *command, **options):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    @unittest.skipIf(machine.IOMMUFD, "this kernel has no RDMA")
    def test_users_of_rdma(self):
        name, other = self.names[:2]
        run("modprobe", "rdma_rxe")
        run("rdma", "link", "add", "rxe0", "type", "rxe", "netdev", name)
        self.addCleanup(run, "rdma", "link", "delete", "rxe0", status=None)
        run("modprobe", "ib_umad")
        wait_for("the nodes are there", lambda: NODE.exists() and MAD_NODE.exists())
        pingpong = self.start("ibv_rc_pingpong", "-d", "rxe0", "-g", "0")
        wait_for("it has a queue pair", lambda: f"pid {pingpong.pid} " in run(
            "rdma", "resource", "show", "qp").stdout or pingpong.poll() is not None)
        self.assertIsNone(pingpong.poll())
        daemon = machine.Daemon(vfs=4).start()
        self.addCleanup(daemon.stop)

        used = (f"pid {pingpong.pid} (ibv_rc_pingpong) uses the RDMA device rxe0 on {name}: "
                "1 MR, 1 PD, 1 QP, 1 context")
        self.assertEqual(self.uses(self.vfs[0]), {"rdma": used})
        self.assertEqual(machine.driver_of(self.vfs[0]), "igbvf")
        self.assertNotIn(other, os.listdir("/sys/class/net"))
        vfbroker("drain", "guests")
        for refused in (vfbroker("take", self.vfs[0], "--despite", "socket", status=5).stderr,
                        vfbroker("resize", PF, "2", status=5).stderr):
            self.assertIn(used, refused)
        self.assertEqual(machine.driver_of(self.vfs[0]), "igbvf")

        # A process without objects, that only has the node open.
        pingpong.kill()
        pingpong.wait()
        own = pathlib.Path("/proc/self/comm").read_text(encoding="utf-8").strip()
        for node in NODE, MAD_NODE:
            with open(node, "rb+", buffering=0):
                self.assertEqual(self.uses(self.vfs[0]), {
                    "rdma": f"pid {os.getpid()} ({own}) has the RDMA device rxe0 on {name} open"})
        self.assertEqual(self.uses(self.vfs[0]), {})

        # Its driver waits for the last user: the override goes through when that ends.
        pingpong = self.start("ibv_rc_pingpong", "-d", "rxe0", "-g", "0")
        wait_for("the process is seen", lambda: "rdma" in self.uses(self.vfs[0]))
        take = self.start("vfbroker", "take", self.vfs[0], "--despite", "rdma",
                          stderr=sys.stderr)
        wait_for("it is torn away", lambda: machine.driver_of(self.vfs[0]) != "igbvf")
        pingpong.kill()
        self.assertEqual(take.wait(), 0)
        self.assertEqual(machine.driver_of(self.vfs[0]), "vfio-pci")

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
        run("swapoff", f"/dev/{disk.name}")
        if machine.IOMMUFD:
            return  # a kernel without what follows
        trixie = (REPO / "tests/vm/trixie.sh", "run", "openvswitch-switch")
        # Without udev, and with no list of devices that may be used.
        settings = ("--config", "activation { udev_sync = 0 udev_rules = 0 } "
                    "devices { use_devicesfile = 0 }")

        def lvm(command, *words):
            run(*trixie, "lvm", command, *settings, *words)
        run("modprobe", "dm_mod")
        lvm("pvcreate", "-ff", "--yes", f"/dev/{disk.name}")
        lvm("vgcreate", "storage", f"/dev/{disk.name}")
        lvm("lvcreate", "--wipesignatures", "n", "--zero", "n", "-L", "16M", "-n", "data",
            "storage")
        self.assertEqual(self.uses(function), {
            "holder": f"{disk.name} belongs to dm-0 (storage-data)"})
        lvm("vgremove", "--yes", "-f", "storage")
        lvm("pvremove", f"/dev/{disk.name}")
        run("modprobe", "raid1")
        run(*trixie, "mdadm", "--create", "/dev/md7", "--run", "--force", "--level=1",
            "--raid-devices=1", f"/dev/{disk.name}")
        self.addCleanup(run, *trixie, "mdadm", "--stop", "/dev/md7", status=None)
        self.assertEqual(self.uses(function), {"holder": f"{disk.name} belongs to md7"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
