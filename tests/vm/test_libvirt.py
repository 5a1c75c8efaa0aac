# SPDX-License-Identifier: GPL-2.0-or-later
"""libvirt as Debian has it, and its hook: a domain gets its VF at its start and gives it back at
its end, whatever dies on the way."""
import os
import pathlib
import re
import signal
import subprocess
import unittest

import machine
from machine import run, vfbroker, vfbroker_json, wait_for

MAC = "02:00:00:00:00:b1"
HOOK = pathlib.Path("/etc/libvirt/hooks/qemu.d/vfbroker")
UUID = "6b9b9ad4-4d5e-4f1c-9d3a-0000000000{:02x}"

METADATA = """<metadata>
    <lease xmlns='https://vfbroker.io/libvirt/1'>
      <function address='{address}' mac='{mac}' trust='on' spoof-check='off' max-tx-rate='100'/>
    </lease>
  </metadata>"""

DOMAIN = """<domain type='{kind}'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  {metadata}
  <memory unit='MiB'>256</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{append} vfb.stay=1 vfb.ip=10.0.0.2/24 vfb.ping=10.0.0.1</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='{cpu}'/>
  <on_reboot>destroy</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <serial type='file'><source path='/tmp/{name}.log'/></serial>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    {hostdev}
  </devices>
</domain>"""


def hostdev(address, managed="no"):
    domain, bus, slot, function = re.split("[:.]", address)
    return (f"<hostdev mode='subsystem' type='pci' managed='{managed}'><source><address "
            f"domain='0x{domain}' bus='0x{bus}' slot='0x{slot}' function='0x{function}'/>"
            "</source></hostdev>")


def virsh(*words, **options):
    return run("virsh", "--connect", "qemu:///system", *words, **options)


class Domain:
    """As machine.start_guest wants it."""

    def __init__(self, name):
        self.name = name
        self.console = pathlib.Path(f"/tmp/{name}.log")
        self.pid = None

    def start(self):
        self.console.write_bytes(b"")
        virsh("start", self.name)
        self.pid = int(pathlib.Path(f"/run/libvirt/qemu/{self.name}.pid").read_text())

    def ended(self):
        if pathlib.Path(f"/proc/{self.pid}").exists():
            return None
        # Until libvirt knows it as well.
        state = wait_for(f"{self.name} is shut off", lambda: (
            text := virsh("domstate", "--reason", self.name).stdout).startswith("shut off") and text)
        return int("crashed" in state or "failed" in state)

    def said(self):
        return self.console.read_text(encoding="utf-8", errors="replace")

    def kill(self):
        virsh("destroy", self.name, status=None)

    def wait_until_free(self):
        machine.wait_until_free(self.pid)


class Libvirt(machine.Test):
    @classmethod
    def setUpClass(cls):
        machine.install()
        HOOK.parent.mkdir(parents=True, exist_ok=True)
        HOOK.symlink_to("/usr/sbin/vfbroker-libvirt-hook")
        # QEMU as root: the kernel and initrd of the guest are where only root may read them.
        with open("/etc/libvirt/qemu.conf", "a", encoding="utf-8") as conf:
            conf.write('user = "root"\ngroup = "root"\nsecurity_driver = "none"\n'
                       'cgroup_controllers = []\nnamespaces = []\nstdio_handler = "file"\n')
        cls.start_libvirtd()

    @classmethod
    def tearDownClass(cls):
        cls.libvirtd.terminate()
        cls.libvirtd.wait(machine.LONG)

    @classmethod
    def start_libvirtd(cls):
        with open("/tmp/libvirtd.log", "a", encoding="utf-8") as log:
            cls.libvirtd = subprocess.Popen(["libvirtd"], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        wait_for("libvirtd answers", lambda: virsh("list", status=None).returncode == 0)

    def setUp(self):
        super().setUp()
        self.wait_for_clean(self.vfs)
        run("ip", "addr", "add", "10.0.0.1/24", "dev", machine.netdev_of())
        self.addCleanup(run, "ip", "addr", "flush", "dev", machine.netdev_of())
        self.address = machine.vf_address(1)

    def define(self, name, number, address, metadata="", managed="no", kind="qemu"):
        xml = pathlib.Path(f"/tmp/{name}.xml")
        xml.write_text(DOMAIN.format(
            name=name, uuid=UUID.format(number), metadata=metadata, kind=kind,
            cpu="maximum" if kind == "qemu" else "host-passthrough",
            kernel=os.environ["VFB_GUEST_KERNEL"], initrd=os.environ["VFB_GUEST_INITRD"],
            append=os.environ["VFB_GUEST_APPEND"], hostdev=hostdev(address, managed)),
            encoding="utf-8")
        virsh("define", xml)
        self.addCleanup(virsh, "undefine", name)
        self.addCleanup(virsh, "destroy", name, status=None)

    def define_web(self, **options):
        self.define("web", 1, self.address, METADATA.format(address=self.address, mac=MAC),
                    **options)

    def qemu(self, name="web"):
        return int(pathlib.Path(f"/run/libvirt/qemu/{name}.pid").read_text())

    def lease(self):
        leases = vfbroker_json("leases")["leases"]
        self.assertEqual(len(leases), 1, leases)
        return leases[0]

    def check_default_attributes(self):
        kernel = machine.kernel_attributes(1)
        self.assertNotEqual(kernel["address"], MAC)
        self.assertEqual(kernel["rate"]["max_tx"], 0)
        self.assertFalse(kernel["trust"])
        self.assertTrue(kernel["spoofchk"])

    def test_1_a_domain_from_its_start_to_its_end(self):
        self.define_web(kind="kvm")  # of those it is the one that boots
        self.start_guest(Domain("web"))
        lease = self.lease()
        self.assertEqual(lease["guest"], f"web ({UUID.format(1)})")
        self.assertEqual((lease["owner"], lease["pid"]), ("process", self.qemu()))
        self.assertEqual(lease["functions"][0]["address"], self.address)
        kernel = machine.kernel_attributes(1)
        self.assertEqual(kernel["address"], MAC)
        self.assertEqual(kernel["rate"]["max_tx"], 100)
        self.assertTrue(kernel["trust"])
        self.assertFalse(kernel["spoofchk"])

        # Another domain that names the same VF.
        self.define("other", 2, self.address)
        refused = virsh("start", "other", status=1).stderr
        print(refused, flush=True)
        self.assertIn(f"vfbroker: cannot start domain other: cannot lease {self.address} from pool "
                      f"guests: {self.address} is leased: lease {lease['id']} of user 0 for web",
                      refused)
        self.assertIn("hint: take another function of pool guests", refused)
        self.assertEqual(self.lease()["id"], lease["id"])

        # Both daemons are restarted under it.
        self.daemon.stop(signal.SIGKILL)
        self.daemon.start()
        self.libvirtd.kill()
        self.libvirtd.wait(machine.LONG)
        self.start_libvirtd()
        self.assertIn("running", virsh("domstate", "web").stdout)
        self.assertEqual(self.lease()["id"], lease["id"])
        self.assertEqual(self.lease()["pid"], lease["pid"])

        def said():
            return pathlib.Path("/tmp/web.log").read_text(encoding="utf-8", errors="replace")
        wait_for(lambda: f"the guest pings: {said()}", lambda: "GUEST ping ok" in said(),
                 machine.LONG)
        self.assertRegex(said(), rf"GUEST nic mac={MAC} driver=igbvf")

        virsh("destroy", "web")
        self.assertEqual(vfbroker_json("leases")["leases"], [])
        self.wait_for_clean(self.vfs)
        self.check_default_attributes()

    def test_2_started_again_at_once_and_qemu_killed(self):
        self.define_web()
        virsh("start", "web")
        virsh("destroy", "web")
        # It is being cleaned: the start waits for that, and no longer.
        virsh("start", "web")
        os.kill(self.qemu(), signal.SIGKILL)
        self.wait_for_clean(self.vfs)
        self.assertEqual(vfbroker_json("leases")["leases"], [])
        self.check_default_attributes()

    def test_3_qemu_dies_when_libvirt_is_dead(self):
        self.define_web()
        virsh("start", "web")
        pid = self.qemu()
        self.libvirtd.kill()
        self.libvirtd.wait(machine.LONG)
        os.kill(pid, signal.SIGKILL)
        self.wait_for_clean(self.vfs)
        self.start_libvirtd()

    def test_4_what_is_refused(self):
        self.define("managed", 3, self.address, managed="yes")
        refused = virsh("start", "managed", status=1).stderr
        self.assertIn("hint: virsh edit managed: set managed='no' for it", refused)
        self.define("wrong", 4, self.address, METADATA.format(
            address=self.address, mac=MAC).replace("trust='on'", "trust='perhaps'"))
        refused = virsh("start", "wrong", status=1).stderr
        self.assertIn('trust of 0000:01:10.2 is "perhaps", not on or off', refused)
        self.define_web()
        self.daemon.stop()
        refused = virsh("start", "web", status=1).stderr
        self.assertIn("cannot reach vfbrokerd at /run/vfbroker/vfbroker.sock", refused)
        self.assertIn("hint: systemctl start vfbrokerd.socket", refused)
        self.daemon.start()
        self.wait_for_clean(self.vfs)

    def test_5_the_hook_is_killed(self):
        # Held up where it waits for the function: that one is another's, and is being cleaned
        # while its last holder has it open.
        self.define_web()
        group = pathlib.Path(f"/sys/bus/pci/devices/{self.address}/iommu_group").resolve().name
        with open(f"/dev/vfio/{group}", "rb"):
            held = machine.Peer()
            held.lease(functions=[self.address], handOff="none", backend="group")
            held.close()
            wait_for("it is held", lambda: self.pool()["dirty"] == 1)
            start = subprocess.Popen(["virsh", "--connect", "qemu:///system", "start", "web"],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            hook = wait_for("the hook runs", lambda: run(
                "pgrep", "-f", "^/etc/libvirt/hooks/qemu.d/vfbroker web prepare",
                status=None).stdout)
            os.kill(int(hook.split()[0]), signal.SIGKILL)
            self.assertEqual(start.wait(machine.LONG), 1)
        self.wait_for_clean(self.vfs)
        self.assertEqual(vfbroker_json("leases")["leases"], [])

    def test_6_libvirt_dies_between_prepare_and_started(self):
        # A second hook that is called after ours and does not come back.
        late = HOOK.with_name("zz-late")
        late.write_text("#!/bin/sh\n[ \"$2\" != prepare ] || exec sleep 1000\n", encoding="utf-8")
        late.chmod(0o755)
        self.addCleanup(late.unlink)
        self.define_web()
        start = subprocess.Popen(["virsh", "--connect", "qemu:///system", "start", "web"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        sleeper = int(wait_for("it hangs", lambda: run("pgrep", "-f", "^sleep 1000$",
                                                       status=None).stdout).split()[0])
        self.addCleanup(os.kill, sleeper, signal.SIGKILL)
        lease = self.lease()
        self.assertEqual(lease["pid"], self.libvirtd.pid)
        self.libvirtd.kill()
        self.libvirtd.wait(machine.LONG)
        start.wait(machine.LONG)
        self.wait_for_clean(self.vfs)
        self.assertEqual(vfbroker_json("leases")["leases"], [])
        self.check_default_attributes()
        self.start_libvirtd()

    def test_7_a_lease_by_hand_as_hostdev(self):
        xml = vfbroker("lease", "guests", "--guest", "byhand", "--format", "libvirt").stdout
        lease = self.lease()
        address = lease["functions"][0]["address"]
        self.assertEqual(re.sub(r"\s*\n\s*", "", xml), hostdev(address))
        self.define("byhand", 5, address)
        virsh("start", "byhand")
        self.assertEqual(self.lease()["id"], lease["id"])
        virsh("destroy", "byhand")
        self.assertEqual(self.lease()["id"], lease["id"])
        vfbroker("release", lease["id"])
        self.wait_for_clean(self.vfs)


if __name__ == "__main__":
    unittest.main(verbosity=2)
