# SPDX-License-Identifier: GPL-2.0-or-later
"""What other programs do to PFs and VFs that are ours is noticed and reported, repaired if the pool
says so, and never under a lease; whatever is sabotaged, the truth is told and nothing is lost."""
import pathlib
import signal
import subprocess
import unittest

import machine
from machine import PF, run, vfbroker, vfbroker_json, wait_for

DEVICE = pathlib.Path(f"/sys/bus/pci/devices/{PF}")
DRIVER = pathlib.Path("/sys/bus/pci/drivers/igb")


def vfs():
    return len(list(DEVICE.glob("virtfn*")))


def numvfs():
    """What the kernel says when it is done with what was written last."""
    return int((DEVICE / "sriov_numvfs").read_text())


def vlan(index):
    # ip says nothing of a VLAN of 0.
    return machine.kernel_attributes(index).get("vlan_list", [{}])[0].get("vlan", 0)


def write_vlan(index, value):
    run("ip", "link", "set", machine.netdev_of(), "vf", index, "vlan", value)


def reason(index):
    return vfbroker_json("show", machine.vf_address(index))["function"].get("reason", "")


class Report(machine.Test):
    def test_attributes_of_a_clean_vf(self):
        self.wait_for_clean(4)
        write_vlan(1, 7)
        wait_for("it is noticed", lambda: self.pool()["quarantined"] == 1)
        self.assertIn("another program changed vlan from 0 to 7", reason(1))
        self.assertEqual(vlan(1), 7)
        # Nobody gets it.
        refused = vfbroker("lease", "guests", "--count", "4", status=1).stderr
        self.assertIn("another program changed vlan", refused)
        self.assertIn("scrub again", vfbroker("plan", status=2).stdout)
        vfbroker("apply", "--yes")
        self.assertEqual((vlan(1), self.pool()["clean"]), (0, 4))

    def test_driver_of_a_clean_vf(self):
        self.wait_for_clean(4)
        address = machine.vf_address(2)
        (DEVICE / "virtfn2/driver/unbind").write_text(address)
        wait_for("it is noticed", lambda: self.pool()["quarantined"] == 1)
        self.assertIn("another program unbound it from its VFIO driver", reason(2))
        vfbroker("apply", "--yes")
        self.assertEqual((machine.driver_of(address), self.pool()["clean"]), ("vfio-pci", 4))

    def test_driver_right_after_the_vf_was_clean(self):
        """Before the daemon has read that it is bound."""
        address = machine.vf_address(3)
        wait_for("it is clean", lambda: f"{address} is clean" in self.daemon.log())
        (DEVICE / "virtfn3/driver/unbind").write_text(address)
        wait_for("it is noticed", lambda: self.pool()["quarantined"] == 1)
        self.assertIn("another program unbound it from its VFIO driver", reason(3))

    def test_under_a_lease_it_is_only_said(self):
        self.wait_for_clean(4)
        lease = vfbroker_json("lease", "guests", "--guest", "web", "--vlan", "5")["lease"]
        function = lease["functions"][0]
        index = int(function["index"])
        self.assertEqual(vlan(index), 5)
        write_vlan(index, 9)
        wait_for("it is noticed", lambda: "another program" in reason(index))
        self.assertIn("changed vlan from 5 to 9", reason(index))
        self.assertIn(f"changed vlan to 9, lease {lease['id']} (guest web",
                      vfbroker("plan").stdout)
        vfbroker("apply", "--yes")
        self.assertEqual(vlan(index), 9)
        self.assertEqual(vfbroker_json("leases")["leases"][0]["id"], lease["id"])
        write_vlan(index, 5)
        wait_for("it is as it was", lambda: reason(index) == "")
        vfbroker("release", lease["id"])
        self.wait_for_clean(4)
        self.assertEqual(vlan(index), 0)

    def test_what_we_do_ourselves_is_no_drift(self):
        self.wait_for_clean(4)
        for number in range(6):
            lease = vfbroker_json("lease", "guests", "--guest", "web", "--vlan", number + 1)
            vfbroker("release", lease["lease"]["id"])
        self.wait_for_clean(4)
        self.assertNotIn("another program", self.daemon.log())

    def test_number_of_vfs(self):
        self.wait_for_clean(4)
        (DEVICE / "sriov_numvfs").write_text("0")
        wait_for("it is noticed", lambda: vfbroker_json(
            "status")["physicalFunctions"][0]["state"] == "failed")
        self.assertEqual(vfs(), 0)
        self.assertIn("another program removed them", vfbroker("status").stdout)
        vfbroker("apply", "--yes")
        self.assertEqual((vfs(), self.pool()["clean"]), (4, 4))

    def test_a_late_end_takes_nothing_from_the_next_owner(self):
        """Group numbers are used again: what was lent of a VF that is gone may be another's."""
        self.wait_for_clean(4)

        def lend(uid):
            peer = machine.Peer(uid)
            address = machine.vf_address(0)
            return peer, peer.lease(handOff="node", functions=[address], guest="web")
        first, lease = lend(machine.ALICE)
        node = pathlib.Path(lease["functions"][0]["node"])
        self.assertEqual(node.stat().st_uid, machine.ALICE)
        (DEVICE / "sriov_numvfs").write_text("0")
        wait_for("it is lost", lambda: vfbroker_json("leases")["leases"][0]["functions"][0]["lost"])
        vfbroker("apply", "--yes")
        self.wait_for_clean(4)
        second, again = lend(machine.BOB)
        if again["functions"][0]["node"] != str(node):
            self.fail("the group has another number: this test shows nothing any more")
        first.close()
        wait_for("the first lease has ended", lambda: len(vfbroker_json("leases")["leases"]) == 1)
        self.assertEqual(node.stat().st_uid, machine.BOB)
        second.close()
        self.wait_for_clean(4)
        self.assertEqual(node.stat().st_uid, 0)

    def test_surprise_removal_in_the_middle_of_apply(self):
        self.wait_for_clean(4)
        self.daemon.configure(machine.CONFIG.format(vfs=6))
        with subprocess.Popen(["vfbroker", "apply", "--yes"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as applying:
            # Not while their number is written: numvfs holds the device and waits for the lock of
            # all removals, and a removal the other way round, both for ever (6.12's iov.c).
            wait_for("there are others", lambda: numvfs() == 6)
            (DEVICE / "remove").write_text("1")
            said = applying.communicate(timeout=machine.LONG)[0]
        self.assertNotEqual(applying.returncode, 0, said)
        self.assertIn("uplink", said)
        wait_for("it is missing", lambda: vfbroker_json(
            "status")["physicalFunctions"][0]["state"] == "missing")
        pathlib.Path("/sys/bus/pci/rescan").write_text("1")
        wait_for("it is back", lambda: self.pool()["clean"] == 6)
        vfbroker("plan")

    def test_no_room_for_the_state(self):
        self.wait_for_clean(4)
        self.daemon.stop()
        run("mount", "-t", "tmpfs", "-o", "size=512k", "none", "/run/vfbroker")
        self.addCleanup(run, "umount", "-l", "/run/vfbroker")
        self.daemon.start()
        self.wait_for_clean(4)
        kept = vfbroker_json("lease", "guests", "--guest", "kept")["lease"]
        owner = subprocess.Popen(["vfbroker", "run", "guests", "--", "sh", "-c",
                                  "echo started; exec sleep 1000", "sh", "{}"],
                                 stdout=subprocess.PIPE, text=True)
        self.assertEqual(owner.stdout.readline(), "started\n")
        self.addCleanup(owner.wait)
        self.addCleanup(owner.kill)
        filler = pathlib.Path("/run/vfbroker/filler")
        with open(filler, "wb", buffering=0) as full, self.assertRaises(OSError):
            while True:
                full.write(b"\0" * 4096)
        refused = None
        # The write-ahead log has some room left in it.
        for _ in range(200):
            done = vfbroker("lease", "guests", "--guest", "web", status=None)
            if done.returncode:
                refused = done
                break
            ended = vfbroker("release", vfbroker_json("leases")["leases"][-1]["id"], status=None)
            if ended.returncode:
                refused = ended
                break
            self.wait_for_clean(2)
        self.assertIsNotNone(refused)
        self.assertIn("state database", refused.stderr)
        self.assertTrue(self.daemon.alive())
        self.assertIn(kept["id"], [lease["id"] for lease in vfbroker_json("leases")["leases"]])
        # What ends now, ends as soon as that can be written.
        owner.kill()
        self.daemon.wait_for_log("cannot .*state database")
        self.assertIn(owner.pid, [lease["pid"] for lease in vfbroker_json("leases")["leases"]])
        filler.unlink()
        wait_for("that lease ends", lambda: owner.pid not in [
            lease["pid"] for lease in vfbroker_json("leases")["leases"]])
        for lease in vfbroker_json("leases")["leases"]:
            vfbroker("release", lease["id"])
        self.wait_for_clean(4)

    def test_edited_while_running_and_reloaded_by_signal(self):
        self.wait_for_clean(4)
        self.daemon.configure("[pool.guests]\nnonsense = 1\n")
        self.daemon.process.send_signal(signal.SIGHUP)
        self.daemon.wait_for_log(r"nonsense")
        self.assertEqual(self.pool()["clean"], 4)
        self.daemon.configure(machine.CONFIG.format(vfs=4)
                              + "[pool.guests.attributes]\nvlan = 3\n")
        self.daemon.process.send_signal(signal.SIGHUP)
        wait_for("all are of the new configuration",
                 lambda: [vlan(index) for index in range(4)] == [3] * 4)
        self.wait_for_clean(4)


class Repair(machine.Test):
    config = machine.CONFIG.format(vfs=4) + 'drift = "repair"\n'

    def test_attributes_and_driver(self):
        self.wait_for_clean(4)
        write_vlan(1, 7)
        self.daemon.wait_for_log("another program changed vlan from 0 to 7; it is scrubbed again")
        wait_for("it is set back", lambda: vlan(1) == 0)
        self.wait_for_clean(4)
        address = machine.vf_address(2)
        (DEVICE / "virtfn2/driver/unbind").write_text(address)
        self.daemon.wait_for_log("another program unbound it")
        wait_for("it is bound again", lambda: machine.driver_of(address) == "vfio-pci")
        self.wait_for_clean(4)

    def test_a_fight_ends(self):
        self.wait_for_clean(4)
        for count in range(1, 7):
            wait_for("it is set back", lambda: vlan(1) == 0 and self.pool()["clean"] == 4)
            write_vlan(1, 7)
            wait_for("it is noticed",
                     lambda: self.daemon.log().count("another program changed") >= count)
        wait_for("that is enough", lambda: self.pool()["quarantined"] == 1)
        self.assertIn("5 times in a minute", reason(1))

    def test_number_of_vfs_and_driver_of_the_pf(self):
        self.wait_for_clean(4)
        (DEVICE / "sriov_numvfs").write_text("0")
        wait_for("they are there again", lambda: vfs() == 4)
        self.wait_for_clean(4)
        (DRIVER / "unbind").write_text(PF)
        wait_for("they are gone", lambda: self.pool()["clean"] == 0)
        (DRIVER / "bind").write_text(PF)
        wait_for("they are there again", lambda: vfs() == 4)
        self.wait_for_clean(4)

    def test_another_number_of_vfs(self):
        self.wait_for_clean(4)
        self.daemon.process.send_signal(signal.SIGSTOP)
        (DEVICE / "sriov_numvfs").write_text("0")
        (DEVICE / "sriov_numvfs").write_text("2")
        self.daemon.process.send_signal(signal.SIGCONT)
        wait_for("there are 4 again", lambda: vfs() == 4)
        self.wait_for_clean(4)


if __name__ == "__main__":
    unittest.main(verbosity=2)
