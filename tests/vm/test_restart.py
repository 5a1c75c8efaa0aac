# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon is killed in the middle of leases: guests run on, and the next daemon knows all."""
import pathlib
import signal
import subprocess
import unittest

import machine
from machine import ALICE, Peer, vfbroker, vfbroker_json


class Restart(machine.Test):
    def process_lease(self):
        """A process with a lease of its own, that waits to be killed."""
        process = subprocess.Popen(
            ["vfbroker", "run", "guests", "--", "bash", "-c", "echo started; exec sleep 1000",
             "bash", "{}"], stdout=subprocess.PIPE, text=True, **machine.as_user(ALICE))
        self.assertEqual(process.stdout.readline(), "started\n")
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def leases_by_pid(self):
        return {lease["pid"]: lease for lease in vfbroker_json("leases")["leases"]}

    def test_kill_of_the_daemon_loses_no_lease(self):
        lives, dies = self.process_lease(), self.process_lease()
        kept = vfbroker_json("lease", "guests", "--guest", "web1", "--vlan", "9")["lease"]
        before = self.leases_by_pid()
        self.daemon.stop(signal.SIGKILL)
        refused = vfbroker("list", status=7)
        self.assertIn("hint: ", refused.stderr)
        dies.kill()
        dies.wait()
        self.assertIsNone(lives.poll())

        self.daemon.start()
        after = self.leases_by_pid()
        self.assertEqual(after[lives.pid]["functions"], before[lives.pid]["functions"])
        self.assertNotIn(dies.pid, after)
        guests = [lease for lease in after.values() if lease.get("guest") == "web1"]
        self.assertEqual(guests[0]["functions"][0]["address"], kept["functions"][0]["address"])
        self.assertEqual(guests[0]["functions"][0]["attributes"]["vlan"], 9)
        self.assertIsNone(lives.poll())
        self.wait_for_clean(self.vfs - 2)

        # Generations go on: what the dead one had comes back with a higher one.
        lost = before[dies.pid]["functions"][0]
        shown = vfbroker_json("show", lost["address"])["function"]
        self.assertEqual(shown["generation"], lost["generation"])
        lives.kill()
        lives.wait()
        self.wait_for_clean(self.vfs - 1)
        vfbroker("release", kept["id"])
        self.wait_for_clean(self.vfs)

    def test_connection_does_not_outlive_a_daemon_without_systemd(self):
        peer = Peer()
        peer.lease()
        self.daemon.stop(signal.SIGKILL)
        self.daemon.start()
        self.assertEqual(vfbroker_json("leases")["leases"], [])
        # The peer has its descriptors yet: an unbound cdev holds nothing, an open group does.
        peer.close()
        self.wait_for_clean(self.vfs)

    def test_orderly_restart(self):
        process = self.process_lease()
        self.assertEqual(self.daemon.stop(signal.SIGTERM), 0)
        self.daemon.start()
        self.assertIn(process.pid, self.leases_by_pid())

    def test_reload(self):
        self.daemon.configure(machine.CONFIG.format(vfs=4) + "\n[pool.guests.attributes\n")
        refused = vfbroker("reload", status=1)
        self.assertIn("vfbroker.toml:", refused.stderr)
        self.assertEqual(self.pool()["clean"], self.vfs)
        self.daemon.configure(machine.CONFIG.format(vfs=4).replace("guests", "tenants"))
        vfbroker("reload")
        self.assertEqual(vfbroker_json("pool")["pools"][0]["name"], "tenants")
        vfbroker("reload", uid=ALICE, status=3)

    def found(self):
        """What the host has of the PF: VFs, autoprobe, IFF_UP."""
        device = pathlib.Path(f"/sys/bus/pci/devices/{machine.PF}")
        flags = int((device / "net" / machine.netdev_of() / "flags").read_text(), 16)
        return (int((device / "sriov_numvfs").read_text()),
                int((device / "sriov_drivers_autoprobe").read_text()), flags & 1)

    def given_back(self):
        return machine.wait_for(lambda: f"all is as it was: {self.found()}",
                                lambda: self.found() == (0, 1, 0))

    def test_pf_that_is_configured_no_more_is_as_it_was_found(self):
        self.assertEqual(self.found(), (4, 0, 1))
        process = self.process_lease()
        self.daemon.configure("")
        vfbroker("reload")
        # Not under a lease, and the others wait for it: they go with the PF.
        self.assertEqual(self.found(), (4, 0, 1))
        self.assertIn(process.pid, self.leases_by_pid())
        process.kill()
        process.wait()
        self.given_back()
        self.daemon.wait_for_log("PF uplink .* is as it was found")
        self.daemon.configure(machine.CONFIG.format(vfs=4))
        vfbroker("reload")
        self.wait_for_clean(4)

    def test_a_crash_while_vfs_are_created(self):
        device = pathlib.Path(f"/sys/bus/pci/devices/{machine.PF}")
        self.daemon.configure("")
        vfbroker("reload")
        self.given_back()
        mtu = device / "net" / machine.netdev_of() / "mtu"
        self.assertEqual(mtu.read_text(), "1500\n")
        self.daemon.stop()
        self.daemon.configure(machine.CONFIG.format(vfs="4\nmtu = 1400"))
        self.daemon.start(ready=False)
        machine.wait_for("the first VF is there", (device / "virtfn0").exists)
        self.daemon.stop(signal.SIGKILL)
        self.daemon.start()
        self.wait_for_clean(4)
        self.assertEqual(mtu.read_text(), "1400\n")
        # What the one that was killed found is what is given back.
        self.daemon.configure("")
        vfbroker("reload")
        self.given_back()
        self.assertEqual(mtu.read_text(), "1500\n")

    def test_pf_that_is_configured_again_while_it_is_given_back(self):
        # A reload answers when the machine is at rest: these do not wait for it.
        away, back, looker = machine.Peer(), machine.Peer(), machine.Peer()
        for peer in (away, back, looker):
            self.addCleanup(peer.close)
        self.daemon.configure("")
        away.send("io.vfbroker.Reload")
        self.daemon.wait_for_log("giving it back to the host(?s:.*)configuration reloaded")
        self.daemon.configure(machine.CONFIG.format(vfs=4))
        back.send("io.vfbroker.Reload")
        self.daemon.wait_for_log("configuration reloaded(?s:.*)configuration reloaded")
        pool = looker.call("ListPools")["parameters"]["pools"][0]
        # The kernel takes a second to remove VFs: nothing is done to them until that is over.
        self.assertNotIn("is as it was found", self.daemon.log())
        self.assertEqual((pool["absent"], pool["preparing"]), (4, 0))
        self.wait_for_clean(4)
        log = self.daemon.log()
        given_back = log[log.index("giving it back"):log.index("is as it was found")]
        self.assertNotIn("cannot", given_back)
        self.assertNotIn("is clean", given_back)
        for peer in (away, back):
            left = peer.receive()["parameters"]["left"]
            self.assertEqual((left["add"], left["change"], left["remove"]), (0, 0, 0), left)

    def test_pf_that_gets_another_name_keeps_its_vfs_and_leases(self):
        # A guest that is not running: no process has it open, which would be noticed, too.
        lease = vfbroker_json("lease", "guests", "--guest", "web0", "--vlan", "9")["lease"]
        leased = lease["functions"][0]["address"]
        self.daemon.configure(machine.CONFIG.format(vfs=4).replace("uplink", "lan"))
        vfbroker("reload")
        self.wait_for_clean(3)
        self.assertEqual(self.found(), (4, 0, 1))
        kept, = vfbroker_json("leases")["leases"]
        self.assertEqual((kept["id"], kept["functions"][0]["address"]), (lease["id"], leased))
        # The function is in one hand only, under whatever name.
        others = vfbroker_json("lease", "guests", "--guest", "web", "--count", "3")["lease"]
        self.assertNotIn(leased, [function["address"] for function in others["functions"]])
        vfbroker("lease", "guests", "--guest", "web2", status=5)
        vfbroker("release", others["id"])
        self.wait_for_clean(3)
        self.assertEqual(machine.vf_address(0), leased)
        self.check_that_nothing_of_it_is_touched(lease)
        self.daemon.stop()
        self.daemon.start()
        self.wait_for_clean(3)
        self.check_that_nothing_of_it_is_touched(lease)
        # Nor is any name of it given back before the lease has ended.
        self.daemon.configure("")
        vfbroker("reload")
        self.assertNotIn("configured no more: giving it back", self.daemon.log())
        self.assertEqual(self.found(), (4, 0, 1))
        self.assertEqual(machine.kernel_attributes(0)["vlan_list"][0]["vlan"], 9)
        vfbroker("release", lease["id"])
        self.given_back()

    def check_that_nothing_of_it_is_touched(self, lease):
        address = lease["functions"][0]["address"]
        refused = vfbroker("resize", "lan", "6", status=5).stderr
        self.assertIn(f"{address} is leased (lease {lease['id']}, ", refused)
        self.daemon.configure(machine.CONFIG.format(vfs=6).replace("uplink", "lan"))
        self.assertIn(f"lease {lease['id']} ", vfbroker("plan", status=2).stdout)
        self.daemon.configure(machine.CONFIG.format(vfs=4).replace("uplink", "lan"))
        late = vfbroker("drain", machine.PF, "--wait", "1", status=6).stderr
        self.assertIn(f"lease {lease['id']} ", late)
        vfbroker("resume", "lan")
        self.assertEqual(self.found(), (4, 0, 1))

    def test_pf_that_was_taken_out_while_the_daemon_was_down(self):
        self.daemon.stop()
        self.daemon.configure("")
        self.daemon.start()
        self.given_back()

    def test_pf_that_the_host_uses_meanwhile_stays_up(self):
        machine.run("ip", "address", "add", "10.9.9.1/24", "dev", machine.netdev_of())
        self.addCleanup(machine.run, "ip", "link", "set", machine.netdev_of(), "down")
        self.addCleanup(machine.run, "ip", "address", "flush", "dev", machine.netdev_of())
        self.daemon.configure("")
        vfbroker("reload")
        self.daemon.wait_for_log("PF uplink .* is as it was found")
        self.assertEqual(self.found(), (0, 1, 1))

    def test_functions_taken_out_of_a_pool_get_their_driver_back(self):
        address = machine.vf_address(3)
        self.assertEqual(machine.driver_of(address), "vfio-pci")
        config = machine.CONFIG.format(vfs=4)
        self.daemon.configure(config.replace('pf = "uplink"\nallow', 'pf = "uplink"\nvfs = "0-2"\nallow'))
        vfbroker("reload")
        machine.wait_for("VF 3 has no driver, as it was found",
                         lambda: machine.driver_of(address) is None)
        self.assertEqual(self.pool()["total"], 3)
        self.daemon.configure(config)
        vfbroker("reload")
        self.wait_for_clean(4)
        self.assertEqual(machine.driver_of(address), "vfio-pci")

    def test_second_daemon_is_refused(self):
        second = machine.run("vfbrokerd", "--socket", "/run/second.sock", status=1, timeout=60)
        self.assertIn("state database", second.stderr)
        self.assertTrue(self.daemon.alive())
        self.assertEqual(self.pool()["clean"], self.vfs)


if __name__ == "__main__":
    unittest.main(verbosity=2)
