# SPDX-License-Identifier: GPL-2.0-or-later
"""A client that nobody here wrote: DPDK's testpmd drives two leased VFs under vfbroker run."""
import unittest

import machine
from machine import vfbroker


class Dpdk(machine.Test):
    def test_testpmd_drives_two_functions(self):
        done = vfbroker("run", "guests:2", "--", "dpdk-testpmd", "--no-huge", "-m", "128",
                        "--no-telemetry", "-l", "0,1", "{}", "--", "--total-num-mbufs=2048",
                        "--stats-period=1", "--tx-first", "--forward-mode=txonly",
                        "--no-lsc-interrupt", "--max-pkt-len=1518", status=None, timeout=300)
        said = done.stdout + done.stderr
        self.assertIn("net_e1000_igb_vf", said)
        self.assertRegex(said, r"Port 0.*\n(.*\n)*.*Port 1")
        self.wait_for_clean(self.vfs)


if __name__ == "__main__":
    unittest.main(verbosity=2)
