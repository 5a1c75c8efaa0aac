# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever is wrong is said clearly, changes nothing, and the daemon goes on."""
import json
import os
import pathlib
import socket
import subprocess
import unittest

import machine
from machine import PF, Peer, run, vfbroker, wait_for


class Refusals(machine.Test):
    def assert_unharmed(self):
        self.assertTrue(self.daemon.alive())
        self.wait_for_clean(self.vfs)
        self.assertEqual(vfbroker("leases").returncode, 0)

    def refused(self, *arguments, status, says, hint=None):
        done = vfbroker(*arguments, status=status)
        self.assertIn(says, done.stderr)
        if hint:
            self.assertIn("hint: " + hint, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assert_unharmed()

    def test_requests(self):
        self.refused("lease", "gusts", status=4,
                     says="cannot lease from pool gusts: there is no such pool",
                     hint="pools: guests")
        self.refused("show", "01:10.9", status=2, says="01:10.9")
        self.refused("show", "0000:7f:00.0", status=4, says="this machine has no such function")
        self.refused("lease", "guests", "--count", "1000", status=5, says="the pool has 4 in all")
        self.refused("lease", "guests", "--mac", "01:00:5e:00:00:01", status=2, says="multicast")
        self.refused("lease", "guests", "--mac", "02:00:00:00:00", status=2, says="02:00:00:00:00")
        self.refused("lease", "guests", "--vlan", "4095", status=2, says="4095")
        self.refused("lease", "guests", "--backend", "iommufd", status=2, says="descriptors")
        self.refused("release", "77", status=4, says="no such lease")
        self.refused("run", "guests", "--", "/nonexistent", "{}", status=127, says="/nonexistent")
        self.wait_for_clean(self.vfs)
        self.refused("run", "guests", "--", "true", status=2, says="{}")

    def raw(self, data, fds=()):
        """Sends bytes as they are; what came back until the daemon hung up."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.connect(machine.SOCKET)
            peer.settimeout(30)
            try:
                for start in range(0, max(len(data), 1), 1 << 16):
                    part = data[start:start + (1 << 16)]
                    if fds and start == 0:
                        socket.send_fds(peer, [part], fds)
                    else:
                        peer.sendall(part)
                peer.shutdown(socket.SHUT_WR)
                return peer.recv(1 << 16)
            except (BrokenPipeError, ConnectionResetError):
                return b""

    def fds_of_daemon(self):
        return len(os.listdir(f"/proc/{self.daemon.process.pid}/fd"))

    def test_peers_that_misbehave(self):
        before = self.fds_of_daemon()
        call = json.dumps({"method": "io.vfbroker.Status"}).encode() + b"\0"
        for name, data in {
                "garbage": os.urandom(4096) + b"\0",
                "half a message": call[:20],
                "10 MB": b'{"method":"' + b"x" * (10 << 20),
                "no JSON": b"hello\0",
                "not an object": b"[1,2]\0",
                "deep": b"[" * 100000 + b"\0",
                "no method": b"{}\0",
                "a number as method": b'{"method":1}\0',
        }.items():
            with self.subTest(name):
                self.assertNotIn(b'"parameters":{"version"', self.raw(data))
                self.assert_unharmed()
        reading = [os.open("/dev/null", os.O_RDONLY) for _ in range(250)]
        try:
            with self.subTest("300 descriptors"):
                # More than the kernel takes at once, so in two.
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
                    peer.connect(machine.SOCKET)
                    try:
                        socket.send_fds(peer, [call[:5]], reading)
                        socket.send_fds(peer, [call[5:]], reading[:50])
                        peer.settimeout(30)
                        self.assertEqual(peer.recv(4096), b"")
                    except (BrokenPipeError, ConnectionResetError):
                        pass
                self.assert_unharmed()
        finally:
            for fd in reading:
                os.close(fd)
        machine.wait_for("the daemon has closed all of it",
                         lambda: self.fds_of_daemon() <= before + 2)
        with self.subTest("wrong parameters"):
            peer = Peer()
            for parameters, fault in (({"pool": 1}, "pool"), ({"pool": "guests", "count": -1}, "count"),
                                      ({"pool": "guests", "number": 2}, "number"),
                                      ({"pool": "guests", "owner": "me"}, "owner")):
                reply = peer.call("Lease", **parameters)
                self.assertEqual(reply["error"], "org.varlink.service.InvalidParameter")
                self.assertEqual(reply["parameters"]["parameter"], fault)
            self.assertEqual(peer.call("Nothing")["error"], "org.varlink.service.MethodNotFound")
            peer.close()
        self.assert_unharmed()

    def test_one_connection_too_many(self):
        crowd = [Peer(machine.ALICE) for _ in range(128)]
        for peer in crowd:
            self.assertIn("parameters", peer.call("Status"))
        said = vfbroker("status", uid=machine.ALICE, status=5).stderr
        self.assertIn("128 connections of that user are open, and no more are allowed", said)
        self.assertIn("ss -xp", said)
        # Whoever only listens hears it as well.
        late = Peer(machine.ALICE)
        self.assertEqual(late.receive()["error"], "io.vfbroker.Failed")
        # Others are served, and so is she when she has closed one.
        self.assert_unharmed()
        crowd.pop().close()
        wait_for("there is room again",
                 lambda: subprocess.run(["vfbroker", "status"], check=False, capture_output=True,
                                        **machine.as_user(machine.ALICE)).returncode == 0)
        for peer in [*crowd, late]:
            peer.close()

    def test_a_peer_that_hangs_up_in_the_middle(self):
        # With devices that are open by then, whose last close takes its time, too.
        for backend in (*["iommufd"] * 3, *["group"] * 3):
            peer = Peer()
            peer.send("io.vfbroker.Lease", {"pool": "guests", "attributes": {"vlan": 3},
                                            "backend": backend})
            peer.close()
        self.wait_for_clean(self.vfs)
        self.assertEqual(machine.vfbroker_json("leases")["leases"], [])
        # It does not stand in its own way.
        self.assertNotIn("(vfbrokerd)", self.daemon.log())
        for index in range(self.vfs):
            self.assertEqual(machine.kernel_attributes(index).get("vlan_list", [{}])[0]
                             .get("vlan", 0), 0)


class Configuration(unittest.TestCase):
    """What the files ask for that cannot be."""

    def test_more_vfs_than_the_card_has(self):
        daemon = machine.Daemon(vfs=1000).start()
        self.addCleanup(daemon.stop)
        refused = vfbroker("lease", "guests", status=None)
        self.assertIn("at most 7", vfbroker("status").stdout)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("cannot create 1000 VFs on 0000:01:00.0: it can have at most 7",
                      daemon.log())
        self.assertIn("hint: lower vfs of [pf.uplink], at /etc/vfbroker/vfbroker.toml:4:7",
                      daemon.log())
        self.assertEqual(pathlib.Path(f"/sys/bus/pci/devices/{PF}/sriov_numvfs").read_text(), "0\n")

    def test_two_tables_for_one_card(self):
        one = machine.CONFIG.format(vfs=4)
        mac = pathlib.Path(f"/sys/class/net/{machine.netdev_of()}/address").read_text().strip()
        both = f'{one}\n[pf.lan]\nmac = "{mac}"\nvfs = 4\n[pool.lan]\npf = "lan"\n'
        daemon = machine.Daemon(both).start()
        self.addCleanup(daemon.stop)
        self.assertIn(f"find PF lan (mac {mac}): {PF} is what PF uplink (address {PF}) at "
                      "/etc/vfbroker/vfbroker.toml:2:1 means, too", daemon.log())
        self.assertIn(f"{PF} is what PF lan", vfbroker("plan", status=2).stdout)
        vfbroker("lease", "guests", status=5)
        self.assertEqual(pathlib.Path(f"/sys/bus/pci/devices/{PF}/sriov_numvfs").read_text(), "0\n")
        # Beside one that is at work: that goes on, and no function is in two hands.
        daemon.configure(one)
        vfbroker("reload")
        machine.wait_for("4 are clean", lambda: machine.vfbroker_json("pool")["pools"][0]["clean"] == 4)
        lease = machine.vfbroker_json("lease", "guests", "--guest", "web")["lease"]
        daemon.configure(both)
        vfbroker("reload")
        vfbroker("lease", "lan", "--guest", "db", status=5)
        self.assertEqual([each["id"] for each in machine.vfbroker_json("leases")["leases"]],
                         [lease["id"]])
        self.assertIn("means, too", vfbroker("status").stdout)
        # The machine as it was found.
        vfbroker("release", lease["id"])
        daemon.configure("")
        vfbroker("reload")
        daemon.wait_for_log("PF uplink .* is as it was found")

    def test_unknown_card(self):
        daemon = machine.Daemon(machine.CONFIG.format(vfs=4).replace(PF, "0000:7f:00.0")).start()
        self.addCleanup(daemon.stop)
        self.assertIn("no function of this machine matches", daemon.log())
        run("vfbroker", "list")


if __name__ == "__main__":
    unittest.main(verbosity=2)
