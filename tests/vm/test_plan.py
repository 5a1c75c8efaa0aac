# SPDX-License-Identifier: GPL-2.0-or-later
"""Plan and apply, drain and resize: what is shown is what is done, nothing that is leased or in use
is touched, and what fails or is cut off half-way is undone."""
import json
import pathlib
import signal
import subprocess
import unittest

import machine
from machine import PF, Peer, run, vfbroker, vfbroker_json, wait_for

DEVICE = pathlib.Path(f"/sys/bus/pci/devices/{PF}")


def vfs():
    return len(list(DEVICE.glob("virtfn*")))


def plan(status=None):
    done = vfbroker("plan", "--json", status=None)
    value = json.loads(done.stdout)
    assert status is None or done.returncode == status, (done.returncode, value)
    return value


def texts(of):
    return [(change["subject"], change["text"])
            for pf in of["physicalFunctions"] for change in pf["changes"]]


class PlanAndApply(machine.Test):
    def test_how_far_it_is_is_told_of_each_pf(self):
        self.wait_for_clean(4)
        self.daemon.configure(machine.CONFIG.format(vfs=6))
        peer = machine.Peer()
        peer.send("io.vfbroker.Apply", more=True)
        told = []
        while (reply := peer.receive()).get("continues"):
            told += [(pf["name"], pf["clean"], pf["total"])
                     for pf in reply["parameters"]["physicalFunctions"]]
        self.assertEqual(told[0], ("uplink", 0, 6), told)
        self.assertEqual(told[-1], ("uplink", 6, 6), told)
        self.assertEqual(told, sorted(told))
        peer.close()

    def test_nothing_to_do(self):
        self.wait_for_clean(4)
        shown = vfbroker("plan")
        self.assertEqual(shown.stdout, "The machine is as the configuration says.\n")
        applied = vfbroker("apply")
        self.assertIn("Applied.", applied.stdout)

    def test_what_is_shown_is_done(self):
        self.wait_for_clean(4)
        self.daemon.configure(machine.CONFIG.format(vfs=6)
                              + "[pool.guests.attributes]\nvlan = 7\n")
        shown = vfbroker("plan", status=2).stdout
        self.assertRegex(shown, rf"PF uplink \({PF}\)\n"
                                r"  ~ remove its 4 VFs and create 6\n"
                                r"  \+ uplink/0-5: into pool guests\n"
                                r"6 to add, 1 to change, 0 to remove\n")
        self.assertEqual(vfs(), 4)
        refused = vfbroker("apply", status=2).stderr
        self.assertIn("nobody is there to say that this is wanted", refused)
        self.assertEqual(vfs(), 4)
        vfbroker("apply", "--dry-run", status=2)
        self.assertEqual(vfs(), 4)
        self.assertIn("Applied.", vfbroker("apply", "--yes").stdout)
        # When it returns, it is done.
        self.assertEqual(self.pool()["clean"], 6)
        self.assertEqual([machine.kernel_attributes(index)["vlan_list"][0]["vlan"]
                          for index in range(6)], [7] * 6)
        plan(0)
        # And once more does nothing.
        before = self.daemon.log()
        vfbroker("apply", "--yes")
        self.assertNotIn("is clean", self.daemon.log()[len(before):])

    def test_attributes_that_somebody_changed(self):
        self.wait_for_clean(4)
        self.daemon.configure(machine.CONFIG.format(vfs=4)
                              + "[pool.guests.attributes]\nvlan = 7\n")
        self.assertIn(("uplink/2", "vlan 0 -> 7"), texts(plan(2)))
        vfbroker("apply", "--yes")
        self.assertEqual(machine.kernel_attributes(2)["vlan_list"][0]["vlan"], 7)
        plan(0)

    def test_who_may_lease(self):
        """It is no device's, and changes all the same."""
        self.wait_for_clean(4)
        self.daemon.configure(machine.CONFIG.format(vfs=4)
                              .replace('["tenants"]', "[]") + "drift = 'repair'\n")
        shown = vfbroker("plan", status=2).stdout
        self.assertRegex(shown, r"^Pool guests\n  ~ allow_groups \d+ -> none\n"
                                r"  ~ drift report -> repair\n"
                                r"0 to add, 2 to change, 0 to remove\n$")
        vfbroker("run", "guests", "--", "true", "{}", uid=machine.ALICE)
        vfbroker("apply", "--yes")
        vfbroker("run", "guests", "--", "true", "{}", uid=machine.ALICE, status=3)
        plan(0)
        self.assertRegex(self.daemon.log(), r"pool guests: allow_groups \d+ -> none")

    def test_doctor_tells_of_it(self):
        self.wait_for_clean(4)
        self.daemon.configure(machine.CONFIG.format(vfs=4)
                              + "[pool.guests.attributes]\nvlan = 7\n")
        self.assertEqual(self.drift(), [
            ("warn", "uplink", "not as configured: uplink/0: vlan 0 -> 7, and 3 more")])
        self.daemon.configure("[pf.uplink]\nvsf = 4\n")
        (level, subject, text), = self.drift()
        self.assertEqual((level, subject), ("fail", "configuration"))
        self.assertIn("vsf", text)
        self.daemon.configure(machine.CONFIG.format(vfs=4))
        self.assertEqual(self.drift(), [("pass", "host", "the machine is as configured")])

    def drift(self):
        found = json.loads(vfbroker("doctor", "--json", status=None).stdout)["findings"]
        return [(f["level"], f["subject"], f["text"]) for f in found if f["check"] == "drift"]

    def test_a_lease_is_in_the_way_and_named(self):
        self.wait_for_clean(4)
        lease = vfbroker_json("lease", "guests", "--guest", "web")["lease"]
        address = lease["functions"][0]["address"]
        self.daemon.configure(machine.CONFIG.format(vfs=6))
        blocked = plan(2)["physicalFunctions"][0]["blocked"]
        self.assertEqual(blocked[0]["code"], "busy")
        self.assertIn(f"lease {lease['id']} (guest web", blocked[0]["message"])
        self.assertIn(address, blocked[0]["message"])
        refused = vfbroker("apply", "--yes", status=5)
        self.assertIn("Not everything could be applied", refused.stdout)
        self.assertEqual(vfs(), 4)
        self.assertEqual(vfbroker_json("leases")["leases"][0]["functions"][0]["lost"], False)
        vfbroker("release", lease["id"])
        self.wait_for_clean(4)
        vfbroker("apply", "--yes")
        self.assertEqual(self.pool()["clean"], 6)

    def test_a_vf_that_the_host_uses_is_in_the_way(self):
        # VFs of somebody else, one of them with an address.
        run("modprobe", "-q", "igbvf", status=None)  # built in on a kernel without modules
        vfbroker("reload")
        self.wait_for_clean(4)
        self.daemon.configure("")
        vfbroker("apply", "--yes")
        wait_for("no VFs are there", lambda: vfs() == 0)
        (DEVICE / "sriov_drivers_autoprobe").write_text("1")
        run("ip", "link", "set", machine.netdev_of(), "up")
        (DEVICE / "sriov_numvfs").write_text("2")
        first = machine.vf_address(0)
        wait_for("the VFs have interfaces", lambda: len(list(DEVICE.glob("virtfn*/net/*"))) == 2)
        name = machine.netdev_of(first)
        run("ip", "address", "add", "192.0.2.7/24", "dev", name)
        second = machine.vf_address(1)
        run("ip", "address", "add", "192.0.2.8/24", "dev", machine.netdev_of(second))
        self.daemon.configure(machine.CONFIG.format(vfs=4))
        blocked = plan(2)["physicalFunctions"][0]["blocked"]
        self.assertIn(f"{name} has the address 192.0.2.7/24", json.dumps(blocked))
        vfbroker("apply", "--yes", status=5)
        self.assertEqual(vfs(), 2)
        self.assertIn("192.0.2.7", run("ip", "address", "show", "dev", name).stdout)
        # Named reason by reason it may be torn away; another word does not do.
        refused = vfbroker("take", first, "--despite", "route", status=5).stderr
        self.assertIn("192.0.2.7", refused)
        self.assertEqual(machine.driver_of(first), "igbvf")
        vfbroker("take", first, "--despite", "address,route,up")
        self.assertEqual(machine.driver_of(first), "vfio-pci")
        self.assertRegex(self.daemon.log(), rf"takes {first} from the host despite: address")
        vfbroker("apply", "--yes", "--despite", f"{second}=route", status=5)
        vfbroker("apply", "--yes", "--despite", f"{second}=address,route,up")
        self.assertEqual(self.pool()["clean"], 4)
        # What goes back is what was found: two VFs, and igbvf on them.
        self.daemon.configure("")
        vfbroker("apply", "--yes")
        self.assertEqual(vfs(), 2)
        wait_for("igbvf has its VFs back", lambda: [
            machine.driver_of(machine.vf_address(index)) for index in range(2)] == ["igbvf"] * 2)

    def test_wrong_configuration_changes_nothing(self):
        self.wait_for_clean(4)
        self.daemon.configure(machine.CONFIG.format(vfs=4).replace("vfs =", "vsf ="))
        for command in (("plan",), ("apply", "--yes")):
            refused = vfbroker(*command, status=1).stderr
            self.assertRegex(refused, r"vfbroker.toml:4:\d+.*vsf")
            self.assertIn("vfs", refused)
        self.assertEqual(self.pool()["clean"], 4)


class DrainAndResize(machine.Test):
    def test_drain_keeps_leases_out_and_waits(self):
        self.wait_for_clean(4)
        lease = vfbroker_json("lease", "guests", "--guest", "web")["lease"]
        left = vfbroker("drain", "guests").stdout
        self.assertIn(f"1 lease is left of it: {lease['id']}", left)
        refused = vfbroker("lease", "guests", status=5).stderr
        self.assertIn("pool:guests is drained", refused)
        self.assertIn("vfbroker resume pool:guests", refused)
        self.assertEqual(self.pool()["drained"], 4)
        late = vfbroker("drain", "guests", "--wait", "1", status=6).stderr
        self.assertIn(f"lease {lease['id']} (guest web", late)
        # A restart does not end it.
        self.daemon.stop(signal.SIGKILL)
        self.daemon.start()
        vfbroker("lease", "guests", status=5)
        with subprocess.Popen(["vfbroker", "drain", "uplink", "--wait"]) as waiting:
            wait_for("the PF is drained", lambda: vfbroker_json(
                "status")["physicalFunctions"][0]["drained"])
            self.assertIsNone(waiting.poll())
            vfbroker("release", lease["id"])
            self.assertEqual(waiting.wait(machine.LONG), 0)
        # It ended when the function was clean again, and not before.
        self.assertEqual(self.pool()["clean"], 4)
        vfbroker("resume", "guests")
        vfbroker("lease", "guests", status=5)
        vfbroker("resume", PF)
        vfbroker("resume", "uplink", status=2)
        vfbroker("release", vfbroker_json("lease", "guests", "--guest", "web")["lease"]["id"])
        vfbroker("drain", "none", status=4)
        vfbroker("drain", "guests", uid=machine.ALICE, status=3)

    def test_resize(self):
        self.wait_for_clean(4)
        lease = vfbroker_json("lease", "guests", "--guest", "web")["lease"]
        address = lease["functions"][0]["address"]
        refused = vfbroker("resize", "uplink", "6", status=5).stderr
        self.assertIn(f"{address} is leased (lease {lease['id']}, guest web, pid", refused)
        self.assertEqual(vfs(), 4)
        vfbroker("release", lease["id"])
        self.wait_for_clean(4)
        vfbroker("resize", PF, "6")
        self.assertEqual(vfs(), 6)
        self.wait_for_clean(6)
        self.assertIn("6 (configured 4)", vfbroker("status").stdout)
        # The same again is nothing; a reload and a restart leave it.
        vfbroker("resize", "uplink", "6")
        vfbroker("reload")
        self.daemon.stop()
        self.daemon.start()
        self.wait_for_clean(6)
        self.assertIn(("uplink", "remove its 6 VFs and create 4"), texts(plan(2)))
        vfbroker("resize", "uplink", "8", status=2)
        vfbroker("resize", "uplink", "2")
        self.wait_for_clean(2)
        vfbroker("apply", "--yes")
        self.assertEqual(vfs(), 4)
        self.assertEqual(self.pool()["clean"], 4)
        self.assertNotIn("configured", vfbroker("status").stdout)

    def test_resize_is_refused_while_a_process_holds_a_vf(self):
        self.wait_for_clean(4)
        address = machine.vf_address(1)
        if machine.IOMMUFD:
            node = next((DEVICE.parent / address / "vfio-dev").iterdir()).name
            path = f"/dev/vfio/devices/{node}"
        else:
            path = f"/dev/vfio/{(DEVICE.parent / address / 'iommu_group').resolve().name}"
        with open(path, "rb+", buffering=0):
            refused = vfbroker("resize", "uplink", "6", status=5).stderr
            self.assertIn(address, refused)
            self.assertIn("python3", refused)
            self.assertEqual(vfs(), 4)
        # Nothing was undone that had not been done.
        self.wait_for_clean(4)
        vfbroker("resize", "uplink", "6")
        self.wait_for_clean(6)

    def test_a_crash_in_the_middle_leaves_nothing_half_done(self):
        self.wait_for_clean(4)
        with subprocess.Popen(["vfbroker", "resize", "uplink", "6"],
                              stderr=subprocess.DEVNULL) as resizing:
            wait_for("the VFs are gone", lambda: vfs() == 0)
            self.daemon.stop(signal.SIGKILL)
            self.assertNotEqual(resizing.wait(machine.LONG), 0)
        self.daemon.start()
        wait_for("it is what it was, or what it was to be", lambda: self.pool()["clean"] in (4, 6))
        self.assertEqual(self.pool()["clean"], vfs())
        self.assertEqual(self.pool()["total"], vfs())
        # Whichever it was, status and plan say the truth, and apply makes it good.
        vfbroker("apply", "--yes")
        self.assertEqual(self.pool()["clean"], 4)
        plan(0)

    def test_connections_that_only_look_are_served_meanwhile(self):
        self.wait_for_clean(4)
        peer = Peer()
        with subprocess.Popen(["vfbroker", "resize", "uplink", "6"]) as resizing:
            wait_for("the VFs are gone", lambda: vfs() == 0)
            self.assertIn("parameters", peer.call("List"))
            refused = peer.call("Lease", pool="guests")
            self.assertEqual(refused["error"], "io.vfbroker.Failed")
            self.assertIn("replaced", refused["parameters"]["message"])
            self.assertEqual(resizing.wait(machine.LONG), 0)
        peer.close()
        self.wait_for_clean(6)


if __name__ == "__main__":
    unittest.main(verbosity=2)
