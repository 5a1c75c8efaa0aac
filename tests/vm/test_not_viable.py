# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions that the IOMMU cannot isolate are refused with the reason (./dev vm --switch), and so
is everything on a machine without an IOMMU (--no-iommu)."""
import pathlib
import unittest

import machine
from machine import vfbroker, vfbroker_json

HAS_IOMMU = any(pathlib.Path("/sys/class/iommu").glob("*"))


def pf_behind_the_switch():
    """The igb whose group it shares with a bridge."""
    for path in sorted(pathlib.Path("/sys/bus/pci/drivers/igb").glob("0000:*")):
        group = path / "iommu_group/devices"
        if group.exists() and len(list(group.iterdir())) > 1:
            return path.name
    return None


@unittest.skipUnless(HAS_IOMMU, "needs a switch without ACS, and so an IOMMU")
class Switch(unittest.TestCase):
    def test_refused_with_bridge_and_members(self):
        pf = pf_behind_the_switch()
        self.assertIsNotNone(pf, "start the machine with --switch")
        daemon = machine.Daemon(machine.CONFIG.format(vfs=2).replace(machine.PF, pf)).start()
        self.addCleanup(daemon.stop)
        self.assertEqual(vfbroker_json("pool")["pools"][0]["quarantined"], 2)
        refused = vfbroker("lease", "guests", status=1)
        self.assertRegex(refused.stderr, rf"group \d+ also holds .*{pf} \(igb")
        self.assertRegex(refused.stderr, r"bridge 0000:[0-9a-f:.]+ .*ACS")
        self.assertIn("hint: ", refused.stderr)
        # The bridge that is named is one, and has no ACS.
        self.assertEqual(machine.driver_of(pf), "igb")
        vf = machine.vf_address(0, pf)
        shown = vfbroker("show", vf).stdout
        self.assertIn("also holds", shown)


@unittest.skipIf(HAS_IOMMU, "start the machine with --no-iommu")
class NoIommu(unittest.TestCase):
    def test_refused_with_how_to_turn_it_on(self):
        daemon = machine.Daemon(vfs=2).start()
        self.addCleanup(daemon.stop)
        refused = vfbroker("lease", "guests", status=1)
        self.assertIn("IOMMU", refused.stderr)
        # Which of the two depends on who made the processor.
        self.assertRegex(refused.stderr, "hint: turn (VT-d .*intel_iommu=on|AMD-Vi)")
        self.assertEqual(vfbroker_json("leases")["leases"], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
