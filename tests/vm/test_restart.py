# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon is killed in the middle of leases: guests run on, and the next daemon knows all."""
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

    def test_second_daemon_is_refused(self):
        second = machine.run("vfbrokerd", "--socket", "/run/second.sock", status=1, timeout=60)
        self.assertIn("state database", second.stderr)
        self.assertTrue(self.daemon.alive())
        self.assertEqual(self.pool()["clean"], self.vfs)


if __name__ == "__main__":
    unittest.main(verbosity=2)
