# SPDX-License-Identifier: GPL-2.0-or-later
"""Two owners never hold one function, whatever way they end, and none is lost."""
import contextlib
import ctypes
import fcntl
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import threading
import unittest

import machine
from machine import ALICE, IOMMUFD, Peer

CLIENTS = 20
ROUNDS = int(os.environ.get("VFB_ROUNDS", "200"))
SEED = int(os.environ.get("VFB_SEED", "1"))
LOCKS = "/tmp/held"


class Violation(Exception):
    pass


def hold(address):
    """Proof of exclusive use that ends with the process, like a lease."""
    lock = os.open(f"{LOCKS}/{address}", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as held:
        raise Violation(f"{address} has two holders") from held
    return lock


def client(number, rounds):
    """Takes leases and ends them in every way there is; the last way ends the process."""
    choose = random.Random(SEED * 1000 + number + rounds)
    peer = Peer()
    while rounds > 0:
        rounds -= 1
        lease = peer.lease(count=choose.choice([1, 1, 2]), waitSeconds=machine.LONG)
        locks = [hold(f["address"]) for f in lease["functions"]]
        end = choose.choice(["release", "close", "kill"])
        if end == "kill":
            # The parent counts on: what is left of the rounds is done by a new process.
            os.write(1000 + number, rounds.to_bytes(4, "little"))
            os.kill(os.getpid(), signal.SIGKILL)
        for lock in locks:
            os.close(lock)
        if end == "release":
            reply = peer.call("Release", lease=lease["id"],
                              generation=lease["functions"][0]["generation"])
            assert "error" not in reply, reply
            for fd in peer.fds:
                os.close(fd)
            peer.fds = []
        else:
            peer.close()
            peer = Peer()
    peer.close()


class Owners(machine.Test):
    vfs = 7

    def spawn(self, number, rounds):
        pid = os.fork()
        if pid:
            return pid
        status = 0
        try:
            client(number, rounds)
        except BaseException as failed:  # pylint: disable=broad-except
            print(f"client {number}: {failed!r}", file=sys.stderr, flush=True)
            status = 2
        finally:
            os._exit(status)

    def test_never_two_holders(self):
        os.makedirs(LOCKS, exist_ok=True)
        pipes, running, ended = {}, {}, 0
        for number in range(CLIENTS):
            read, write = os.pipe()
            # At a known place, so that every process of that client finds it.
            os.dup2(write, 1000 + number)
            os.close(write)
            os.set_blocking(read, False)
            pipes[number] = read
            running[self.spawn(number, ROUNDS // CLIENTS)] = number
        while running:
            pid, status = os.wait()
            number = running.pop(pid, None)
            if number is None:
                continue
            if os.WIFEXITED(status):
                self.assertEqual(os.WEXITSTATUS(status), 0, f"client {number}")
                ended += 1
                continue
            self.assertEqual(os.WTERMSIG(status), signal.SIGKILL)
            rounds = int.from_bytes(os.read(pipes[number], 4), "little")
            running[self.spawn(number, rounds)] = number
        self.assertEqual(ended, CLIENTS)
        self.wait_for_clean(7)
        pool = self.pool()
        self.assertEqual((pool["total"], pool["leased"], pool["quarantined"]), (7, 0, 0))
        self.assertEqual(machine.vfbroker_json("leases")["leases"], [])
        given = sum(
            machine.vfbroker_json("show", machine.vf_address(i))["function"]["generation"]
            for i in range(7))
        # Every lease counted a generation up, and some were of two functions.
        self.assertGreaterEqual(given, ROUNDS)
        with contextlib.suppress(FileNotFoundError):
            for number in range(CLIENTS):
                os.close(1000 + number)


@unittest.skipUnless(IOMMUFD, "a group opens once, wherever its descriptor is")
class HiddenDescriptors(machine.Test):
    """A descriptor that its last owner keeps where nobody looks is of no use against the next."""
    vfs = 1

    def take(self):
        """A lease, the connection that has it, and its unbound cdev, the only copy."""
        peer = Peer()
        self.addCleanup(peer.close)
        lease = peer.lease()
        cdev = peer.fds.pop(lease["functions"][0]["descriptor"])
        while peer.fds:
            os.close(peer.fds.pop())
        return peer, lease, cdev

    def give_back(self, peer, lease):
        self.assertNotIn("error", peer.call("Release", lease=lease["id"]))

    def not_clean(self, *states):
        """Waits for one of the states; on the way there it was never clean."""
        def look():
            pool = self.pool()
            self.assertEqual(pool["clean"], 0)
            return any(pool[state] for state in states)
        machine.wait_for(" or ".join(states), look)

    def test_in_an_unread_message(self):
        peer, lease, cdev = self.take()
        ends = socket.socketpair()
        socket.send_fds(ends[0], [b"x"], [cdev])
        os.close(cdev)
        self.give_back(peer, lease)
        self.not_clean("dirty", "stuck")
        # The kernel waits for it, and has taken its name away: it is of no use any more.
        self.assertIsNone(machine.driver_of(lease["functions"][0]["address"]))
        for end in ends:
            end.close()
        self.wait_for_clean(self.vfs)
        peer.lease()

    def test_in_a_thread_with_descriptors_of_its_own(self):
        peer, lease, cdev = self.take()
        has_it, end = threading.Event(), threading.Event()

        def keep():
            clone_files = 0x400
            self.assertEqual(ctypes.CDLL(None).unshare(clone_files), 0)
            has_it.set()
            end.wait()
        thread = threading.Thread(target=keep)
        thread.start()
        self.addCleanup(end.set)
        has_it.wait()
        os.close(cdev)
        self.give_back(peer, lease)
        self.not_clean("dirty")
        self.daemon.wait_for_log(rf"open in pid {os.getpid()} \(python3\)")
        end.set()
        thread.join()
        self.wait_for_clean(self.vfs)


class NobodyKnows(machine.Test):
    """A lease whose number nobody was told is not left."""
    vfs = 1

    def test_the_number_cannot_be_printed(self):
        for options in ([], ["--json"], ["--guest", "web"], ["--guest", "web", "--json"]):
            with open("/dev/full", "wb") as full:
                lease = subprocess.run(["vfbroker", "lease", "guests", *options], stdout=full,
                                       stderr=subprocess.PIPE, text=True, check=False)
            self.assertNotEqual(lease.returncode, 0)
            self.assertIn("No space left on device", lease.stderr)
            self.assertEqual(machine.vfbroker_json("leases")["leases"], [])
            self.wait_for_clean(1)
        # With a reader it is the guest's, and says so.
        said = machine.vfbroker_json("lease", "guests", "--guest", "web")["lease"]
        kept = machine.vfbroker_json("leases")["leases"]
        self.assertEqual([(lease["id"], lease["owner"]) for lease in kept], [(said["id"], "guest")])
        self.assertEqual(said["owner"], "guest")
        machine.vfbroker("release", said["id"])
        self.wait_for_clean(1)

    def test_a_guest_without_a_name(self):
        """The lease is the connection's until it is kept, and stays from then on."""
        peer = Peer()
        peer.lease(handOff="none", owner="connection")
        peer.close()
        self.wait_for_clean(1)
        peer = Peer()
        lease = peer.lease(handOff="none", owner="connection")
        self.assertEqual(peer.call("Keep", lease=lease["id"]), {"parameters": {}})
        peer.close()
        # Answered after the daemon has seen that connection end.
        machine.vfbroker("status")
        kept = machine.vfbroker_json("leases")["leases"]
        self.assertEqual([(one["id"], one["owner"]) for one in kept], [(lease["id"], "guest")])
        self.daemon.wait_for_log("is kept for a guest without a name")
        machine.vfbroker("release", lease["id"])
        self.wait_for_clean(1)


class LeaseEvents(machine.Test):
    """What the owner of a lease hears of it, by the library's example."""
    vfs = 2

    def start_example(self):
        """The example, which has its lease; the function of that."""
        program = subprocess.Popen([machine.BUILD / "tests/client/example_lease", "guests"],
                                   stdout=subprocess.PIPE, text=True, **machine.as_user(ALICE))
        said = [program.stdout.readline() for _ in range(3 if IOMMUFD else 4)]
        self.assertRegex(said[0], r"^lease \d+$")
        roles = ("iommufd", "cdev") if IOMMUFD else ("container", "group", "device")
        for role, line in zip(roles, said[1:]):
            self.assertRegex(line, rf"^descriptor \d+: {role}( of 0000:01:1\S+)?$")
        return program, said[-1].split()[-1]

    def check_released(self, program, event):
        said, _ = program.communicate(timeout=machine.LONG)
        self.assertEqual(said, f"{event}\nreleased\n")
        self.assertEqual(program.returncode, 0)

    def test_what_the_owner_hears(self):
        program, _ = self.start_example()
        machine.vfbroker("drain", "guests")
        self.check_released(program, "wanted: pool:guests is drained")
        machine.vfbroker("resume", "guests")
        self.wait_for_clean(self.vfs)

        # With the group backend the kernel says nothing before its holder has closed it.
        if IOMMUFD:
            program, address = self.start_example()
            self.remove_vfs()
            self.check_released(program, f"wanted: the kernel is taking {address} away, and waits "
                                           "until it is closed")
            machine.vfbroker("reload")
            self.wait_for_clean(self.vfs)

        owner, watcher = Peer(), Peer(ALICE)
        self.addCleanup(owner.close)
        self.addCleanup(watcher.close)
        lease = owner.lease(handOff="none", guest="a", owner="guest")
        function = lease["functions"][0]
        reference = {"lease": lease["id"], "generation": function["generation"]}
        # Another user's lease is none to her.
        none = self.states(watcher, reference)
        self.assertEqual(none["ended"], "there is no such lease of yours")
        refused = watcher.call("WatchLeases", leases=[reference])
        self.assertIn("`more`", refused["parameters"]["hint"])
        root = Peer()
        self.addCleanup(root.close)
        self.assertEqual(self.states(root, reference),
                         {"lease": lease["id"], "lost": [], "returnReason": None, "ended": None})
        self.remove_vfs()
        machine.wait_for("it is lost", lambda: self.state(root)["lost"] == [function["address"]])
        machine.vfbroker("release", lease["id"])
        self.assertRegex(self.state(root)["ended"], r"^released by uid 0 \(vfbroker, pid \d+\)$")

    def remove_vfs(self):
        """As another program would; returns when the kernel has done it."""
        pathlib.Path(f"/sys/bus/pci/devices/{machine.PF}/sriov_numvfs").write_text("0")

    def states(self, peer, reference):
        peer.send("io.vfbroker.WatchLeases", {"leases": [reference]}, more=True)
        return self.state(peer)

    def state(self, peer):
        return peer.receive()["parameters"]["leases"][0]


if __name__ == "__main__":
    unittest.main(verbosity=2)
