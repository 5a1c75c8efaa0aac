# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that end while they boot are started again, and others are not: with real ones, under
vfbroker run and by what scripts use. test_start_guest.py has all the ways in which one can end."""
import contextlib
import io
import os
import pathlib
import unittest

import machine
from machine import ALICE, Guest, run, vfbroker_json

# The kernel finds no init, panics, and resets the machine.
NO_INIT = "rdinit=/none init=/none"

SCRIPT = """set -euo pipefail
. {here}/start-guest
vmm() {{
    append="vfb.ip=10.0.0.2/24"
    [ -e /tmp/tried ] || append="{no_init}"
    touch /tmp/tried
    qemu-system-x86_64 $VFB_GUEST_ACCEL -M q35 -m 256M -nodefaults -nographic -serial stdio \\
        -no-reboot -kernel "$VFB_GUEST_KERNEL" -initrd "$VFB_GUEST_INITRD" \\
        -append "$VFB_GUEST_APPEND $append" >/tmp/sh.log
}}
start_guest sh /tmp/sh.log true vmm"""


class Counted(Guest):
    """Its first try has other kernel parameters."""

    def __init__(self, first, later):
        super().__init__(ALICE, "--guest", "counted", append=first)
        self.later = Guest(ALICE, "--guest", "counted", append=later).command
        self.generations = []

    def start(self):
        super().start()
        machine.wait_for("it has its VF", lambda: vfbroker_json("leases")["leases"])
        function = vfbroker_json("leases")["leases"][0]["functions"][0]
        self.generations.append((function["address"], function["generation"]))
        self.command = self.later


class StartGuest(machine.Test):
    vfs = 1

    def said_at_start(self, guest):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.start_guest(guest)
        print(out.getvalue(), end="", flush=True)
        return out.getvalue()

    def test_one_that_ends_at_boot_is_started_again_with_a_clean_vf(self):
        guest = Counted(NO_INIT, "vfb.stay=1")
        self.assertIn("guest guest ended before its first line: it is started again",
                      self.said_at_start(guest))
        guest.wait_for("GUEST nic .* driver=igbvf")
        # There is one VF only: it was cleaned in between.
        (first, before), (second, after) = guest.generations
        self.assertEqual(first, second)
        self.assertGreater(after, before)

    def test_one_that_ends_later_is_not(self):
        guest = Counted("vfb.stay=0", "vfb.stay=1")
        self.assertEqual(self.said_at_start(guest), "")
        machine.wait_for("it has ended", lambda: guest.ended() is not None)
        self.assertEqual(guest.process.returncode, 0)
        self.assertIn("GUEST done", guest.said())
        self.wait_for_clean(1)
        self.assertEqual(len(guest.generations), 1)

    def test_scripts_do_the_same(self):
        said = run("bash", "-c", SCRIPT.format(here=pathlib.Path(__file__).parent, no_init=NO_INIT),
                   env=os.environ).stdout
        self.assertEqual(said, "guest sh ended before its first line: it is started again\n")
        self.assertIn("GUEST done", pathlib.Path("/tmp/sh.log").read_text(errors="replace"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
