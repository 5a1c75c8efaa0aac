# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job, end to end: a VMM without privileges gets a VF, its guest talks over it, and when
it is killed the VF comes back clean and goes to the next."""
import json
import os
import pathlib
import re
import subprocess
import time
import unittest

import machine
from machine import ALICE, BOB, EVE, IOMMUFD, PF, Guest, Peer, run, vfbroker, vfbroker_json, wait_for

MAC = "02:00:00:00:00:a1"


class MainJob(machine.Test):
    def setUp(self):
        super().setUp()
        run("ip", "addr", "add", "10.0.0.1/24", "dev", machine.netdev_of())
        self.addCleanup(run, "ip", "addr", "flush", "dev", machine.netdev_of())

    def holders_of(self, guest):
        """What of VFIO the VMM has open, by path."""
        links = []
        for fd in pathlib.Path(f"/proc/{guest.process.pid}/fd").iterdir():
            try:
                links.append(os.readlink(fd))
            except FileNotFoundError:
                pass
        return [link for link in links if "vfio" in link or "iommu" in link]

    def check_no_access(self):
        """The user of the VMM has no access of its own to anything of VFIO."""
        nodes = [*pathlib.Path("/dev/vfio").rglob("*"), pathlib.Path("/dev/iommu")]
        for node in nodes:
            if node.is_char_device() and node != pathlib.Path("/dev/vfio/vfio"):
                done = run("test", "-r", node, "-o", "-w", node, uid=ALICE, status=None)
                self.assertEqual(done.returncode, 1, f"{node} is open to the user")

    def test_guest_talks_over_its_vf_and_leaves_nothing(self):
        self.assertEqual(machine.driver_of(machine.vf_address(3)), "vfio-pci")
        # In VLAN 5 on both sides: the PF's side of it.
        pf = machine.netdev_of()
        guest = self.start_guest(Guest(ALICE, "--mac", MAC, "--max-tx-rate", "100", "--trust", "on",
                                       "--spoof-check", "off"))
        nic = guest.wait_for(r"GUEST nic mac=(\S+) driver=(\S+)")
        self.assertEqual(nic.group(1), MAC)
        self.assertEqual(nic.group(2), "igbvf")
        guest.wait_for("GUEST ping ok")

        uid = pathlib.Path(f"/proc/{guest.process.pid}/status").read_text()
        self.assertRegex(uid, rf"Uid:\s{ALICE}\s{ALICE}\s{ALICE}\s{ALICE}")
        self.assertTrue(self.holders_of(guest))
        lease = vfbroker_json("leases")["leases"][0]
        self.assertEqual(lease["pid"], guest.process.pid)
        self.assertEqual(lease["backend"], "iommufd" if IOMMUFD else "group")
        function = lease["functions"][0]
        kernel = machine.kernel_attributes(function["index"])
        self.assertEqual(kernel["address"], MAC)
        self.assertEqual(kernel["rate"]["max_tx"], 100)
        self.assertTrue(kernel["trust"])
        self.assertFalse(kernel["spoofchk"])
        if IOMMUFD:
            self.check_no_access()
            # As user 65534 could: nothing under /dev/vfio was given to anybody.
            self.assertEqual(lease["handOff"], "descriptors")
        else:
            node = pathlib.Path(f"/dev/vfio/{function['group']}")
            self.assertEqual(node.stat().st_uid, ALICE)
            self.assertEqual(node.stat().st_mode & 0o777, 0o600)

        killed = time.monotonic()
        guest.kill()
        self.wait_for_clean(self.vfs, timeout=30)
        took = time.monotonic() - killed
        print(f"scrubbed {took:.2f} s after the kill", flush=True)
        self.assertLess(took, 2 * float(os.environ.get("VFB_PATIENCE", "1")))
        if not IOMMUFD:
            self.assertEqual(node.stat().st_uid, 0)
        kernel = machine.kernel_attributes(function["index"])
        self.assertNotEqual(kernel["address"], MAC)
        self.assertEqual(kernel["rate"]["max_tx"], 0)
        self.assertFalse(kernel["trust"])
        self.assertTrue(kernel["spoofchk"])

        # The next owner is another user, and asks for other things.
        found = False
        while not found:
            lease = vfbroker_json("lease", "guests", "--vlan", "7", "--guest", "next",
                                  uid=BOB)["lease"]
            found = lease["functions"][0]["index"] == function["index"]
        after = lease["functions"][0]
        self.assertGreater(after["generation"], function["generation"])
        kernel = machine.kernel_attributes(after["index"])
        self.assertEqual(kernel["vlan_list"][0]["vlan"], 7)
        self.assertNotEqual(kernel["address"], MAC)
        self.assertEqual(kernel["rate"]["max_tx"], 0)
        self.assertFalse(kernel["trust"])
        for lease in vfbroker_json("leases", uid=BOB)["leases"]:
            vfbroker("release", lease["id"], uid=BOB)
        self.wait_for_clean(self.vfs)
        self.assertEqual(machine.netdev_of(), pf)

    def test_guest_in_a_vlan_reaches_the_pf_in_it(self):
        pf = machine.netdev_of()
        run("ip", "link", "add", "link", pf, "name", "vlan5", "type", "vlan", "id", "5")
        self.addCleanup(run, "ip", "link", "del", "vlan5")
        run("ip", "addr", "add", "10.5.0.1/24", "dev", "vlan5")
        run("ip", "link", "set", "vlan5", "up")
        guest = self.start_guest(Guest(ALICE, "--vlan", "5", "--mac", MAC, name="vlan",
                                       append="vfb.stay=1 vfb.ip=10.5.0.2/24 vfb.ping=10.5.0.1"))
        guest.wait_for(rf"GUEST nic mac={MAC} driver=igbvf")
        self.assertEqual(machine.kernel_attributes(
            vfbroker_json("leases")["leases"][0]["functions"][0]["index"])["vlan_list"][0]["vlan"],
            5)
        guest.wait_for("GUEST ping ok")

    def test_only_those_allowed(self):
        refused = vfbroker("lease", "guests", uid=EVE, status=3)
        self.assertIn("cannot lease from pool guests: user 2003 is not among", refused.stderr)
        self.assertIn("hint: an administrator can add the user at /etc/vfbroker/vfbroker.toml:6",
                      refused.stderr)
        self.assertRegex(self.daemon.log(), rf"denied to uid {EVE} \(vfbroker, pid \d+\): cannot lease")
        lease = vfbroker_json("lease", "guests", uid=ALICE)["lease"]
        vfbroker("release", lease["id"], uid=BOB, status=4)
        self.assertEqual(vfbroker_json("leases", uid=BOB)["leases"], [])
        vfbroker("release", lease["id"], uid=ALICE)
        vfbroker("release", lease["id"], uid=ALICE, status=4)

    def test_release_of_what_is_held_says_by_whom(self):
        peer = Peer(ALICE)
        lease = peer.lease()
        address = lease["functions"][0]["address"]
        here = rf"pid {os.getpid()} \(python3[^)]*\)"
        told = vfbroker("release", lease["id"])
        self.assertRegex(told.stderr, f"lease {lease['id']} has ended, but {address} is still open "
                                      f"in {here}")
        self.assertEqual(told.stdout, "")
        other = Peer()

        def state():
            functions = other.call("List", managed=True)["parameters"]["functions"]
            return next(f["state"] for f in functions if f["address"] == address)
        wait_for("it is dirty", lambda: state() == "dirty")
        # It is looked at again every second, and that is no news.
        states = set()
        end = time.monotonic() + 4
        while time.monotonic() < end:
            states.add(state())
        self.assertEqual(states, {"dirty"})
        said = [line for line in self.daemon.log().splitlines()
                if address in line and re.search(here, line)]
        released = [line for line in said if line.startswith(f"lease {lease['id']} ended: released")]
        self.assertEqual(len(released), 1, said)
        self.assertEqual(len(said), 2, said)
        peer.close()
        other.close()
        self.wait_for_clean(self.vfs)
        # What nobody holds needs no words.
        lease = vfbroker_json("lease", "guests:2", "--guest", "web", uid=ALICE)["lease"]
        self.assertEqual(len(lease["functions"]), 2)
        done = vfbroker("release", "--guest", "web", "--json", uid=ALICE)
        self.assertEqual(json.loads(done.stdout), {"leases": [{"lease": lease["id"], "held": []}]})
        self.assertEqual(done.stderr, "")
        self.wait_for_clean(self.vfs)

    def test_command_of_run_gets_these_descriptors_and_no_others(self):
        script = 'ls -l /proc/self/fd; grep "Max locked" /proc/self/limits; echo "$@"'
        out = run("prlimit", "--memlock=65536:65536", "vfbroker", "run", "guests:2",
                  "--memlock", "512M", "--", "bash", "-c", script, "bash", "{}", uid=ALICE).stdout
        opened = re.findall(r"(\d+) -> (\S+)", out)
        others = [path for fd, path in opened if int(fd) > 2 and "/proc/" not in path]
        if IOMMUFD:
            self.assertEqual(len(others), 3, out)
            self.assertIn("/dev/iommu", others)
            self.assertRegex(out, r"-object iommufd,id=vfbroker0,fd=\d+ -device vfio-pci,id=vf0,")
        else:
            self.assertEqual(others, [], out)
            self.assertRegex(out, r"-device vfio-pci,id=vf0,host=0000:01:1")
        self.assertRegex(out, r"Max locked memory\s+536870912\s+536870912")
        self.wait_for_clean(self.vfs)

    def test_more_memory_than_the_pool_allows(self):
        refused = vfbroker("run", "guests", "--memlock", "2G", "--", "true", "{}", uid=ALICE,
                           status=3)
        self.assertIn("more than the pool's bound", refused.stderr)

    def test_waiting_for_a_function(self):
        first = [vfbroker_json("lease", "guests", uid=ALICE)["lease"] for _ in range(self.vfs)]
        refused = vfbroker("lease", "guests", uid=BOB, status=5)
        self.assertIn("of 4 functions 4 leased", refused.stderr)
        waiting = subprocess.Popen(["vfbroker", "lease", "guests", "--wait", "60", "--json"],
                                   stdout=subprocess.DEVNULL, **machine.as_user(BOB))
        vfbroker("lease", "guests", "--wait", "1", uid=BOB, status=6)
        vfbroker("release", first[0]["id"], uid=ALICE)
        self.assertEqual(waiting.wait(60), 0)
        for lease in vfbroker_json("leases")["leases"]:
            vfbroker("release", lease["id"])
        self.wait_for_clean(self.vfs)

    def test_what_the_user_sees(self):
        rows = vfbroker("list").stdout
        self.assertIn(PF, rows)
        self.assertEqual(len(re.findall(r"clean", rows)), self.vfs)
        shown = vfbroker_json("show", machine.vf_address(0))["function"]
        self.assertTrue(shown["isolation"]["viable"])
        self.assertIn("flr", shown["resetMethods"])
        status = vfbroker_json("status")
        self.assertEqual(status["backends"], ["iommufd", "group"] if IOMMUFD else ["group"])
        self.assertTrue(status["interruptRemapping"])
        self.assertEqual(status["physicalFunctions"][0]["state"], "ready")

    def test_late_release_hits_nobody(self):
        lease = vfbroker_json("lease", "guests", uid=ALICE)["lease"]
        function = lease["functions"][0]
        vfbroker("release", lease["id"], "--generation", function["generation"] + 1, uid=ALICE,
                 status=4)
        vfbroker("release", lease["id"], "--generation", function["generation"], uid=ALICE)
        self.wait_for_clean(self.vfs)
        wait_for("the same function again", lambda: any(
            f["address"] == function["address"] for f in
            vfbroker_json("lease", "guests", uid=BOB)["lease"]["functions"]))
        vfbroker("release", lease["id"], uid=ALICE, status=4)
        for late in vfbroker_json("leases")["leases"]:
            vfbroker("release", late["id"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
