# SPDX-License-Identifier: GPL-2.0-or-later
"""A call of the kernel on a PF does not come back: whoever waits is told, others go on, and all is
as it was to be when it comes back."""
import contextlib
import os
import pathlib
import signal
import socket
import unittest

import machine
from machine import PF, run, vfbroker, vfbroker_json

DEVICE = pathlib.Path(f"/sys/bus/pci/devices/{PF}")
LATE = "the kernel has not come back after 60 s"


@contextlib.contextmanager
def held_by_nobody(address):
    """The function is open, and no process shows it: its descriptor is on its way in a socket. The
    kernel removes it when that is closed, and not before."""
    node = next((DEVICE.parent / address / "vfio-dev").iterdir()).name
    ours, theirs = socket.socketpair()
    with ours, theirs:
        descriptor = os.open(f"/dev/vfio/devices/{node}", os.O_RDWR)
        try:
            socket.send_fds(ours, [b"x"], [descriptor])
        finally:
            os.close(descriptor)
        yield


def worker():
    return next(int(process.name) for process in pathlib.Path("/proc").glob("[0-9]*")
                if f"--worker\0{PF}".encode() in (process / "cmdline").read_bytes())


class Stuck(machine.Test):
    def uplink(self):
        return next((pf for pf in vfbroker_json("status")["physicalFunctions"]
                     if pf["name"] == "uplink"), None)

    def check_that_it_is_stuck(self):
        uplink = self.uplink()
        self.assertEqual(uplink["state"], "stuck")
        self.assertIn(LATE, uplink["problem"])
        self.assertIn(LATE, vfbroker("plan", status=2).stdout)
        # The next one waits for nothing.
        again = vfbroker("apply", "--yes", status=5)
        self.assertIn("Not everything could be applied", again.stdout)
        self.assertIn(LATE, again.stdout)

    def test_apply_answers_and_the_pf_recovers(self):
        self.wait_for_clean(4)
        self.daemon.configure(machine.CONFIG.format(vfs=6))
        with held_by_nobody(machine.vf_address(1)):
            self.assertIn(LATE, vfbroker("apply", "--yes", status=1).stderr)
            self.check_that_it_is_stuck()
            self.assertIn(LATE, vfbroker("resize", "uplink", "2", status=1).stderr)
            vfbroker("reload")
            self.assertEqual(self.uplink()["state"], "stuck")
        self.wait_for_clean(6)
        self.assertEqual(self.uplink()["state"], "ready")
        self.assertEqual(len(list(DEVICE.glob("virtfn*"))), 6)
        vfbroker("plan")

    def test_pf_goes_back_though_its_worker_was_killed_meanwhile(self):
        self.wait_for_clean(4)
        self.daemon.configure("")
        with held_by_nobody(machine.vf_address(1)):
            self.assertIn(LATE, vfbroker("apply", "--yes", status=5).stdout)
            self.check_that_it_is_stuck()
            # It ends when the kernel lets go of it, without an answer.
            os.kill(worker(), signal.SIGKILL)
            self.check_that_it_is_stuck()
        self.daemon.wait_for_log("PF uplink .* is as it was found")
        self.assertEqual(list(DEVICE.glob("virtfn*")), [])
        self.assertEqual((DEVICE / "sriov_drivers_autoprobe").read_text().strip(), "1")
        self.assertNotIn("LOWER_UP", run("ip", "link", "show", "dev", machine.netdev_of()).stdout)
        self.assertIsNone(self.uplink())
        self.daemon.configure(machine.CONFIG.format(vfs=4))
        vfbroker("apply", "--yes")
        self.assertEqual(self.pool()["clean"], 4)


if __name__ == "__main__":
    unittest.main(verbosity=2)
