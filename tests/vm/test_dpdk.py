# SPDX-License-Identifier: GPL-2.0-or-later
"""A client that nobody here wrote: DPDK's testpmd drives two leased VFs under vfbroker run."""
import re
import subprocess
import unittest

import machine

COMMANDS = """set fwd txonly
start
show port info 0
show port info 1
stop
show port stats all
quit
"""


class Dpdk(machine.Test):
    def test_testpmd_drives_two_functions(self):
        done = subprocess.run(
            ["vfbroker", "run", "guests:2", "--", "dpdk-testpmd", "--no-huge", "-m", "128",
             "--no-telemetry", "-l", "0,1", "{}", "--", "-i", "--total-num-mbufs=2048"],
            input=COMMANDS, capture_output=True, text=True, timeout=machine.LONG, check=False)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 0, said)
        self.assertEqual(len(re.findall(r"Probe PCI driver: net_e1000_igb_vf \(8086:10ca\)", said)),
                         2, said)
        self.assertEqual(said.count("Driver name: net_e1000_igb_vf"), 2, said)
        # What both sent, from the statistics of the ports.
        sent = [int(count) for count in re.findall(r"TX-packets: (\d+)\s+TX-errors", said)]
        self.assertEqual(len(sent), 2, said)
        self.assertTrue(all(sent), said)
        self.wait_for_clean(self.vfs)


if __name__ == "__main__":
    unittest.main(verbosity=2)
