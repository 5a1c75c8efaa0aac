# SPDX-License-Identifier: GPL-2.0-or-later
"""vfbroker doctor on a machine as it should be, with and without a daemon, and on machines that are
not (./dev vm --no-iommu, --intremap off --append vfio-pci.ids=8086:10ca)."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

import machine
from machine import ALICE, IOMMUFD, PF, run, vfbroker
from test_explain import PLAIN, REMAPPING, SWITCHED, settle_network
from test_not_viable import HAS_IOMMU

WARNING, FAILURE = 10, 11
DEVICE = pathlib.Path(f"/sys/bus/pci/devices/{PF}")


def put(path, text):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


class Doctor(unittest.TestCase):
    def setUp(self):
        settle_network()
        shutil.rmtree("/run/vfbroker", ignore_errors=True)
        self.daemon = None

    def start(self, **options):
        self.daemon = machine.Daemon(vfs=2, **options).start()
        self.addCleanup((DEVICE / "sriov_numvfs").write_text, "0")
        self.addCleanup(self.daemon.stop)

    def put(self, path, text):
        self.addCleanup(put(path, text).unlink)

    def diagnose(self, status=None, **options):
        """Levels and texts of each check; the exit status is that of the worst."""
        done = vfbroker("doctor", "--json", status=status, **options)
        self.findings = json.loads(done.stdout)["findings"]
        levels = {finding["level"] for finding in self.findings}
        worst = FAILURE if "fail" in levels else WARNING if "warn" in levels else 0
        self.assertEqual(done.returncode, worst)
        for finding in self.findings:
            self.assertEqual("hint" in finding, finding["level"] != "pass", finding)
        return self.findings

    def of(self, check):
        return [f for f in self.findings if f["check"] == check]

    def level(self, check):
        found = [f["level"] for f in self.of(check)]
        self.assertTrue(found, check)
        return max(found, key=["pass", "note", "warn", "fail"].index)

    def assert_finds(self, check, level, text, subject=None):
        self.assertTrue(any(f["level"] == level and re.search(text, f["text"]) and
                            subject in (None, f["subject"]) for f in self.of(check)),
                        self.of(check))


# With a switch only where it is the one machine of its kernel: once is enough.
@unittest.skipUnless(HAS_IOMMU and REMAPPING and not (SWITCHED and IOMMUFD), PLAIN)
class Sane(Doctor):
    def test_with_a_daemon(self):
        self.start()
        self.diagnose(uid=ALICE)
        # It was not started by its unit.
        self.assertEqual([f["check"] for f in self.findings if f["level"] in ("warn", "fail")],
                         ["unit"], self.findings)
        self.assert_finds("functions", "pass", "2 clean")
        self.assert_finds("sriov", "pass", f"{PF} can have 7 VFs")
        text = vfbroker("doctor", status=WARNING).stdout
        self.assertRegex(text, r"(?m)^PASS  iommu                the kernel uses the IOMMU \(intel\)$")
        self.assertRegex(text, r"(?m)^WARN  unit .*\n +hint: ")
        self.assertRegex(text, r"\n\d+ passed, \d notes?, 1 warning, 0 failures\n$")

    def test_without_a_daemon(self):
        self.diagnose(status=FAILURE)
        self.assertEqual([f["check"] for f in self.findings if f["level"] == "fail"], ["daemon"])
        self.assertEqual(self.level("iommu"), "pass")
        self.assertEqual(self.level("kernel-messages"), "pass")
        self.assertFalse(pathlib.Path("/run/vfbroker").exists())
        # One who may read less is told so, and gets the rest.
        self.diagnose(status=FAILURE, uid=ALICE)
        self.assertEqual(self.level("iommu"), "pass")
        self.assert_finds("vf-bars", "note", "cannot be read beyond 64 bytes", PF)

    def test_what_the_kernel_says(self):
        self.addCleanup(run, "dmesg", "--clear")
        with open("/dev/kmsg", "w", encoding="utf-8") as log:
            log.write(f"igb {PF}: not enough MMIO resources for SR-IOV\n")
        self.diagnose()
        self.assert_finds("kernel-messages", "fail", "no room in memory for its VFs", PF)
        self.assertIn("pci=realloc", self.of("kernel-messages")[0]["hint"])
        # What was mended is put behind.
        run("dmesg", "--clear")
        self.diagnose()
        self.assertEqual(self.level("kernel-messages"), "pass")

    def test_functions_in_trouble(self):
        (DEVICE / "sriov_drivers_autoprobe").write_text("0")
        (DEVICE / "sriov_numvfs").write_text("2")
        vf = machine.vf_address(1)
        pathlib.Path(f"/sys/bus/pci/devices/{vf}/reset_method").write_text("\n")
        self.start()
        self.diagnose()
        self.assert_finds("functions", "warn", "it is quarantined: .*no way to reset it", vf)
        self.assert_finds("reset", "warn", "no way to reset it", vf)
        # More than there are: they are not taken from whom they serve to make more.
        self.daemon.configure(machine.CONFIG.format(vfs=4))
        vfbroker("reload")
        machine.wait_for("the drift is seen",
                         lambda: self.diagnose() and self.level("drift") in ("warn", "fail"))
        self.assertEqual(self.of("drift")[0]["subject"], PF)

    def test_other_programs(self):
        self.start()
        vf = machine.vf_address(0)
        self.put("/etc/driverctl.d/" + vf, "igbvf\n")
        self.put("/etc/modprobe.d/passthrough.conf", "options vfio-pci ids=8086:10ca\n")
        bus, slot, function = re.match(r"0000:(..):(..)\.(.)", vf).groups()
        self.put("/etc/libvirt/qemu/web.xml", f"""<domain type='kvm'><devices>
            <hostdev mode='subsystem' type='pci' managed='yes'><source>
            <address domain='0x0000' bus='0x{bus}' slot='0x{slot}' function='0x{function}'/>
            </source></hostdev></devices></domain>""")
        shell = pathlib.Path("/tmp/qemu-system-x86_64")
        shutil.copy("/bin/bash", shell)
        guest = subprocess.Popen(
            ["prlimit", "--memlock=65536:65536", shell, "-c", "echo; read line", "-m", "1G",
             "-device", "vfio-pci"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            **machine.as_user(ALICE))
        self.addCleanup(guest.wait)
        self.addCleanup(guest.kill)
        guest.stdout.readline()
        self.diagnose()
        self.assert_finds("driverctl", "warn", "driverctl binds it to igbvf", vf)
        self.assert_finds("vfio-pci-ids", "warn", f"8086:10ca at boot, among them {vf}",
                          "/etc/modprobe.d/passthrough.conf")
        self.assert_finds("libvirt", "warn", "libvirt's domain web", vf)
        self.assert_finds("memlock-guests", "warn", "a guest of 1 GiB .* may lock 64 KiB only",
                          f"pid {guest.pid}")
        guest.communicate(b"\n")

    def test_while_the_kernel_waits(self):
        """For the holder of a VF whose driver is taken away: its lock is held all the time."""
        self.start()
        vf = machine.vf_address(0)
        held = machine.Peer()
        lease = held.lease()
        while lease["functions"][0]["address"] != vf:
            lease = held.lease()
        unbind = subprocess.Popen(["sh", "-c", f"echo {vf} >/sys/bus/pci/drivers/vfio-pci/unbind"])
        machine.wait_for("it is being unbound", lambda: machine.driver_of(vf) is None or
                         "vfio" in machine.kernel_stacks("sh"))
        explained = vfbroker("explain", vf)
        self.assertIn("can be leased: no: it is leased to pid", explained.stdout)
        self.diagnose()
        self.assertEqual(self.level("iommu"), "pass")
        held.close()
        unbind.wait(machine.LONG)


@unittest.skipIf(HAS_IOMMU, PLAIN)
class NoIommu(Doctor):
    def test_found(self):
        self.start()
        self.diagnose(status=FAILURE, uid=ALICE)
        for check in ("firmware-tables", "iommu", "iommu-groups", "interrupt-remapping"):
            self.assertEqual(self.level(check), "fail", check)
        self.assertRegex(self.of("iommu")[0]["hint"], "turn (VT-d|AMD-Vi)")
        self.assert_finds("functions", "warn", "it is quarantined: .*no IOMMU in use")
        self.daemon.stop()
        self.diagnose(status=FAILURE)
        self.assertEqual(self.level("iommu"), "fail")


@unittest.skipIf(REMAPPING or not HAS_IOMMU, PLAIN)
class NoRemapping(Doctor):
    def test_found(self):
        self.start()
        self.diagnose(status=FAILURE)
        self.assertEqual(self.level("iommu"), "pass")
        self.assertEqual(self.level("interrupt-remapping"), "fail")
        # Of the kernel command line: ./dev vm --append vfio-pci.ids=8086:10ca
        self.assert_finds("vfio-pci-ids", "warn",
                          f"8086:10ca at boot, among them {machine.vf_address(0)}",
                          "kernel command line")


if __name__ == "__main__":
    unittest.main(verbosity=2)
