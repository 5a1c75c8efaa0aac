# SPDX-License-Identifier: GPL-2.0-or-later
"""Two owners never hold one function, whatever way they end, and none is lost."""
import contextlib
import fcntl
import os
import random
import signal
import sys
import unittest

import machine
from machine import Peer

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


if __name__ == "__main__":
    unittest.main(verbosity=2)
