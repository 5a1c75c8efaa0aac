# SPDX-License-Identifier: GPL-2.0-or-later
"""vfbroker explain on the machines that there are (./dev vm --switch --pci-bridge, --no-iommu,
--intremap off): what it prints is held in tests/vm/golden/."""
import json
import os
import pathlib
import re
import shutil
import unittest

import golden
import machine
from machine import ALICE, BOB, EVE, IOMMUFD, PF, Peer, run, vfbroker, vfbroker_json
from test_not_viable import HAS_IOMMU, pf_behind_the_switch

REMAPPING = any(path.read_text().startswith("IR-")
                for path in pathlib.Path("/sys/kernel/irq").glob("*/chip_name"))
SWITCHED = HAS_IOMMU and pf_behind_the_switch()
PLAIN = "the machine is another one"


def settle_network():
    """Addresses and routes come when they come: none shall."""
    for name in ("all", "default"):
        pathlib.Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")


def without_vendor(text):
    """How the IOMMU is turned on depends on who made the processor."""
    return re.sub(r"turn (VT-d|AMD-Vi) [^\n\"]*?; dmesg", "turn the IOMMU on; dmesg", text)


def without_backend(text):
    """Which backend there is is a matter of the kernel, and what else it says of it."""
    return re.sub(r"^(PASS|NOTE|FAIL)  backend .*\n( +hint: .*\n)?", "", text, flags=re.M)


def explain_json(function, **options):
    reply = vfbroker_json("explain", function, **options)
    reply["findings"] = [f for f in reply["findings"] if f["check"] != "backend"]
    return reply


def level_of(reply, check):
    return [f["level"] for f in reply["findings"] if f["check"] == check]


class Explained(unittest.TestCase):
    def assert_golden(self, name, function, **options):
        text = vfbroker("explain", function, **options).stdout
        golden.check(self, f"explain-{name}.txt", without_vendor(without_backend(text)))
        reply = explain_json(function, **options)
        golden.check(self, f"explain-{name}.json", without_vendor(json.dumps(reply, indent=2)) + "\n")
        return reply


@unittest.skipUnless(SWITCHED, PLAIN)
class Switch(Explained):
    """Root ports, a switch without ACS and a bridge to conventional PCI."""

    @classmethod
    def setUpClass(cls):
        settle_network()
        cls.far = pf_behind_the_switch()
        config = machine.CONFIG.format(vfs=2).replace('pf = "uplink"', 'pf = ["uplink", "far"]')
        cls.daemon = machine.Daemon(f'{config}\n[pf.far]\naddress = "{cls.far}"\nvfs = 2\n').start()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def test_clean_vf_below_a_root_port(self):
        reply = self.assert_golden("root-port-vf", machine.vf_address(0), uid=ALICE)
        self.assertTrue(reply["verdict"]["leasable"])
        # The four bits are those that a program that is not ours reads.
        port = reply["bridges"][-1]["address"]
        control = re.search(r"ACSCtl:\s*(.*)", run("lspci", "-vvs", port).stdout).group(1)
        for bit, name in (("SrcValid", "sv"), ("ReqRedir", "rr"), ("CmpltRedir", "cr"),
                          ("UpstreamFwd", "uf")):
            self.assertEqual(reply["bridges"][-1]["controls"][name],
                             "on" if f"{bit}+" in control else "off")

    def test_vf_behind_the_switch(self):
        reply = self.assert_golden("switch-vf", machine.vf_address(0, self.far), uid=ALICE)
        self.assertEqual(reply["verdict"]["state"], "not-viable")
        self.assertEqual(level_of(reply, "acs"), ["fail"])

    def test_physical_function(self):
        self.assert_golden("pf", PF)

    def test_bridge_without_acs(self):
        port = pathlib.Path(f"/sys/bus/pci/devices/{self.far}").resolve().parent.name
        self.assert_golden("bridge", port)

    def test_conventional_pci(self):
        below = next(path for path in pathlib.Path("/sys/bus/pci/devices").iterdir()
                     if (path / "device").read_text().strip() == "0x0005")
        reply = self.assert_golden("conventional", below.name)
        self.assertEqual([b["isolates"] for b in reply["bridges"]], [False, True])

    def test_verdicts_follow_the_leases(self):
        vf = machine.vf_address(1)
        state = lambda **options: vfbroker_json("explain", vf, **options)["verdict"]
        self.assertEqual(state(uid=EVE)["state"], "not-allowed")
        self.assertIn("vfbroker.toml:", state(uid=EVE)["hint"])
        peer = Peer(ALICE)
        leases = [peer.lease(guest="web") for _ in range(2)]
        self.assertIn(vf, [lease["functions"][0]["address"] for lease in leases])
        held = state(uid=ALICE)
        self.assertEqual(held["state"], "leased")
        self.assertRegex(held["text"], rf"leased to pid {os.getpid()} \(.*\) of uid {ALICE}, for "
                                       r"the guest web: lease \d+ of pool guests")
        # Whose it is is Alice's business, and root's.
        self.assertNotIn("web", state(uid=BOB)["text"])
        self.assertIn("web", state()["text"])
        for lease in leases:
            peer.call("Release", lease=lease["id"])
        if IOMMUFD:
            machine.wait_for("it is dirty", lambda: state()["state"] == "dirty")
            self.assertIn(f"pid {os.getpid()}", state()["text"])
        peer.close()
        machine.wait_for("it is free", lambda: state(uid=BOB)["leasable"])

    def test_no_such_function(self):
        refused = vfbroker("explain", "0000:7f:00.0", status=4)
        self.assertIn("this machine has no such function", refused.stderr)


@unittest.skipUnless(HAS_IOMMU and not SWITCHED and REMAPPING, PLAIN)
class Uses(Explained):
    """VFs that are in no pool, and uses of the host."""

    def setUp(self):
        # What an earlier daemon remembers, it would restore.
        shutil.rmtree("/run/vfbroker", ignore_errors=True)

    def test_vf_of_the_host(self):
        settle_network()
        device = pathlib.Path(f"/sys/bus/pci/devices/{PF}")
        run("modprobe", "-q", "igbvf", status=None)
        (device / "sriov_drivers_autoprobe").write_text("1")
        (device / "sriov_numvfs").write_text("2")
        self.addCleanup((device / "sriov_numvfs").write_text, "0")
        daemon = machine.Daemon("").start()
        self.addCleanup(daemon.stop)
        vf = machine.vf_address(0)
        self.assertEqual(explain_json(vf, uid=EVE)["verdict"]["state"], "no-pool")
        name = machine.netdev_of(vf)
        run("ip", "address", "add", "192.0.2.1/24", "dev", name)
        reply = explain_json(vf, uid=EVE)
        self.assertEqual(reply["verdict"]["state"], "in-use")
        self.assertEqual(reply["verdict"]["text"],
                         f"the host uses it: {name} has the address 192.0.2.1/24")
        self.assertEqual(level_of(reply, "host-use"), ["warn"])

    def test_quarantined(self):
        device = pathlib.Path(f"/sys/bus/pci/devices/{PF}")
        (device / "sriov_drivers_autoprobe").write_text("0")
        (device / "sriov_numvfs").write_text("2")
        self.addCleanup((device / "sriov_numvfs").write_text, "0")
        vf = machine.vf_address(0)
        pathlib.Path(f"/sys/bus/pci/devices/{vf}/reset_method").write_text("\n")
        daemon = machine.Daemon(vfs=2).start()
        self.addCleanup(daemon.stop)
        reply = explain_json(vf)
        self.assertEqual(reply["verdict"]["state"], "quarantined")
        self.assertIn("the kernel knows no way to reset it", reply["verdict"]["text"])
        self.assertEqual(level_of(reply, "reset"), ["warn"])

    def test_a_use_that_cannot_be_read_is_a_note(self):
        # A daemon that may not enter network namespaces, of which there is another.
        run("ip", "netns", "add", "web")
        self.addCleanup(run, "ip", "netns", "delete", "web")
        daemon = machine.Daemon(vfs=2)
        daemon.wrapper = ["setpriv", "--bounding-set", "-sys_admin"]
        daemon.start()
        self.addCleanup(daemon.stop)
        reply = vfbroker_json("explain", PF)
        found = [f for f in reply["findings"] if f["check"] == "host-use"]
        self.assertEqual(found[0]["level"], "note", found)
        self.assertTrue(found[0]["hint"])
        shown = vfbroker_json("show", PF)["function"]
        self.assertIn(found[0]["text"], shown["problems"])


@unittest.skipIf(HAS_IOMMU, PLAIN)
class NoIommu(Explained):
    def test_vf(self):
        settle_network()
        daemon = machine.Daemon(vfs=2).start()
        self.addCleanup(daemon.stop)
        reply = self.assert_golden("no-iommu-vf", machine.vf_address(0))
        self.assertEqual(level_of(reply, "iommu-group"), ["fail"])


@unittest.skipIf(REMAPPING or not HAS_IOMMU, PLAIN)
class NoRemapping(Explained):
    def test_vf(self):
        settle_network()
        daemon = machine.Daemon(vfs=2).start()
        self.addCleanup(daemon.stop)
        vf = machine.vf_address(0)
        reply = self.assert_golden("no-remapping-vf", vf)
        self.assertEqual(level_of(reply, "interrupt-remapping"), ["fail"])
        # What the operator accepts is a warning from then on.
        for module in ("vfio_iommu_type1", "iommufd"):
            option = pathlib.Path(f"/sys/module/{module}/parameters/allow_unsafe_interrupts")
            if option.exists():
                option.write_text("1")
                self.addCleanup(option.write_text, "0")
        vfbroker("reload")
        machine.wait_for("it is clean",
                         lambda: vfbroker_json("explain", vf)["verdict"]["leasable"])
        reply = explain_json(vf)
        self.assertEqual(level_of(reply, "interrupt-remapping"), ["warn"])
        self.assertIn("warn", level_of(reply, "unsafe-options"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
