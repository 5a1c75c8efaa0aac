# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU: functions plugged into guests that run and unplugged again, whoever dies in between, and
`run` with several pools, an iommufd of the command's own, and a microvm."""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import unittest

import machine
from machine import ALICE, BOB, IOMMUFD, run, vfbroker, vfbroker_json, wait_for

MAC = "02:00:00:00:00:b1"
MIB = 1 << 20

CONFIG = """
[pf.uplink]
address = "0000:01:00.0"
vfs = 4

[pool.guests]
pf = "uplink"
vfs = "0-2"
allow_groups = ["tenants"]
memlock_max = "1GiB"
tenant_may_set = ["mac"]

[pool.others]
pf = "uplink"
vfs = "3"
allow_groups = ["tenants"]
memlock_max = "1GiB"
"""


class Qmp:
    """A monitor of a QEMU, used in between by others."""

    def __init__(self, path):
        self.path = path

    def __call__(self, command, **arguments):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(machine.LONG)
            peer.connect(self.path)
            with peer.makefile("rw", encoding="utf-8") as stream:
                json.loads(stream.readline())
                for body in ({"execute": "qmp_capabilities"},
                             {"execute": command, "arguments": arguments}):
                    stream.write(json.dumps(body) + "\n")
                    stream.flush()
                    while True:
                        reply = json.loads(stream.readline())
                        if "event" not in reply:
                            break
        if "error" in reply:
            raise AssertionError(reply)
        return reply["return"]

    def devices(self):
        return {entry["name"] for entry in self("qom-list", path="/machine/peripheral")
                if entry["type"] == "child<vfio-pci>"}

    def iommufds(self):
        return [entry["name"] for entry in self("qom-list", path="/objects")
                if entry["type"] == "child<iommufd>"]


class Qemu(machine.Vmm):
    """It has started when its monitor is there."""

    def __init__(self, name, command, **options):
        super().__init__(name, ALICE, command, **options)
        self.path = f"/tmp/{name}.qmp"
        self.qmp = Qmp(self.path)

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        super().start()
        wait_for(lambda: f"a monitor at {self.path}: {self.said()}",
                 lambda: os.path.exists(self.path))


class Vm(Qemu):
    """A QEMU without privileges, sandboxed, with free root ports and nothing of ours."""

    def __init__(self, name, paused):
        ports = [word for port in ("rp1", "rp2") for word in
                 ("-device", f"pcie-root-port,id={port},chassis={port[2:]}")]
        super().__init__(name, [
            "prlimit", "--memlock=65536:65536", "qemu-system-x86_64", *machine.GUEST_ACCEL,
            "-M", "q35", "-m", "256M", "-nodefaults", "-nographic", "-serial", "stdio", "-no-reboot",
            "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
            "-qmp", f"unix:/tmp/{name}.qmp,server=on,wait=off", *ports,
            *machine.guest_kernel("vfb.stay=1 vfb.plug=1 vfb.ip=10.0.0.2/24 vfb.ping=10.0.0.1"),
            *(["-S"] if paused else [])])

    def memory_lock(self):
        limits = pathlib.Path(f"/proc/{self.pid}/limits").read_text(encoding="utf-8")
        return int(re.search(r"Max locked memory\s+(\d+)", limits).group(1))


class Case(machine.Test):
    config = CONFIG

    def vm(self, name, paused=False):
        """Paused, it boots no guest."""
        vm = Vm(name, paused)
        if not paused:
            return self.start_guest(vm)
        self.addCleanup(vm.kill)
        vm.start()
        return vm

    def wait_until_free(self):
        """Nothing is leased, and every function is clean."""
        wait_for(lambda: f"all is free: {vfbroker_json('leases')}, {vfbroker_json('list')}",
                 lambda: not vfbroker_json("leases")["leases"]
                 and self.pool()["clean"] == 3 and self.pool("others")["clean"] == 1)


class Attach(Case):
    def test_a_guest_that_runs_gets_a_nic_and_gives_it_back(self):
        run("ip", "addr", "add", "10.0.0.1/24", "dev", machine.netdev_of())
        self.addCleanup(run, "ip", "addr", "flush", "dev", machine.netdev_of())
        guest = self.vm("guest")
        other = self.vm("other", paused=True)
        # Two guests at once, the second one asleep; two leases of one guest share a context.
        second = vfbroker_json("attach", "guests", "--qmp", other.path, uid=ALICE)["lease"]
        guest.wait_for("GUEST ready")
        said = vfbroker("attach", "guests", "--qmp", guest.path, "--mac", MAC, uid=ALICE).stdout
        number = re.search(r"lease (\d+) of pool guests, backend (\w+)", said)
        self.assertEqual(number.group(2), "iommufd" if IOMMUFD else "group")
        self.assertIn(f"detach: vfbroker detach {number.group(1)} --qmp {guest.path}", said)
        # Before there is another, which a busy guest might find first.
        guest.wait_for(rf"GUEST nic mac={MAC} driver=igbvf")
        guest.wait_for("GUEST ping ok")
        third = vfbroker_json("attach", "others", "--qmp", guest.path, uid=ALICE)["lease"]

        leases = {lease["id"]: lease for lease in vfbroker_json("leases")["leases"]}
        first = leases[int(number.group(1))]
        self.assertEqual((first["owner"], first["pid"], first["uid"]),
                         ("process", guest.pid, ALICE))
        self.assertEqual(leases[second["id"]]["pid"], other.pid)
        index = first["functions"][0]["index"]
        self.assertEqual(machine.kernel_attributes(index)["address"], MAC)
        # 256 MiB and the reserve are more than the pool's bound.
        self.assertEqual(guest.memory_lock(), 1024 * MIB)
        self.assertEqual(guest.qmp.devices(), {f"vfbroker{first['id']}-0",
                                               f"vfbroker{third['id']}-0"})
        if IOMMUFD:
            self.assertEqual(guest.qmp.iommufds(), ["vfbroker0"])

        # A guest that sleeps does not let go: all stays as it was.
        late = vfbroker("detach", second["id"], "--qmp", other.path, "--timeout", "1", uid=ALICE,
                        status=6)
        self.assertIn("the guest has not let go of it within 1 s", late.stderr)
        self.assertIn("hint: is the guest up", late.stderr)
        self.assertEqual(len(vfbroker_json("leases")["leases"]), 3)
        wrong = vfbroker("detach", second["id"], "--qmp", guest.path, uid=ALICE, status=2)
        self.assertIn(f"it belongs to process {other.pid}, and process {guest.pid} answers "
                      "there",
                      wrong.stderr)

        for lease in (third, first):
            vfbroker("detach", lease["id"], "--qmp", guest.path, "--timeout", "120", uid=ALICE)
        self.assertEqual(guest.qmp.devices(), set())
        self.assertEqual(guest.qmp.iommufds(), [])
        wait_for("the functions are clean", lambda: self.pool()["clean"] == 2)
        kernel = machine.kernel_attributes(index)
        self.assertNotEqual(kernel["address"], MAC)
        vfbroker("detach", first["id"], "--qmp", guest.path, uid=ALICE, status=4)
        self.assertEqual(guest.process.poll(), None)

        # The end of a QEMU is the end of its lease.
        other.kill()
        self.wait_until_free()

    def test_a_limit_that_is_high_enough_is_left_alone(self):
        self.daemon.configure(CONFIG.replace("1GiB", "128MiB"))
        vfbroker("reload")
        vm = self.vm("limit", paused=True)
        refused = vfbroker("attach", "guests", "--qmp", vm.path, uid=ALICE, status=3)
        self.assertIn("memory of 256 MiB has to be locked, and the pool's bound is 128 MiB",
                      refused.stderr)
        run("prlimit", "--pid", vm.pid, f"--memlock={4096 * MIB}:{4096 * MIB}")
        lease = vfbroker_json("attach", "guests", "--qmp", vm.path, uid=ALICE)["lease"]
        self.assertEqual(vm.memory_lock(), 4096 * MIB)
        self.assertEqual(vm.qmp.devices(), {f"vfbroker{lease['id']}-0"})
        vm.kill()
        self.wait_until_free()

    def test_what_is_refused_leaves_nothing(self):
        vm = self.vm("refused", paused=True)
        refused = vfbroker("attach", "guests", "--qmp", vm.path, "--device-option", "bogus=1",
                           uid=ALICE, status=1)
        self.assertRegex(refused.stderr, r"cannot plug 0000:01:1\d\.\d into the guest: QEMU says: "
                                         r".*[Pp]roperty.*bogus.*not found")
        self.wait_until_free()
        self.assertEqual(vm.qmp.devices(), set())
        self.assertEqual(vm.qmp.iommufds(), [])
        # Who may not lease for it; the daemon says so, whatever the socket allows.
        os.chmod(vm.path, 0o666)
        refused = vfbroker("attach", "guests", "--qmp", vm.path, uid=BOB, status=3)
        self.assertIn(f"cannot lease for process {vm.pid}: it runs as user {ALICE}, and you are "
                      f"user {BOB}", refused.stderr)
        # Two ports, three functions: the third has no place.
        refused = vfbroker("attach", "guests", "--count", "3", "--qmp", vm.path, uid=ALICE,
                           status=1)
        self.assertIn("QEMU says: ", refused.stderr)
        self.assertIn("hint: lease ", refused.stderr)
        # The guest, asleep, has two of them and does not let go.
        lease = vfbroker_json("leases")["leases"][0]
        self.assertEqual((lease["owner"], lease["pid"]), ("process", vm.pid))
        vm.kill()
        self.wait_until_free()
        refused = vfbroker("attach", "guests", "--qmp", vm.path, uid=ALICE, status=1)
        self.assertIn("hint: does QEMU run, with this socket? -qmp unix:", refused.stderr)

    def test_killed_at_any_point_it_is_free_or_attached(self):
        vm = self.vm("killed", paused=True)
        attached = 0
        for point in range(1, 100):
            done = run("strace", "-o", "/dev/null", "-e", "trace=sendmsg", "-e",
                       f"inject=sendmsg:signal=KILL:when={point}", "vfbroker", "attach", "guests",
                       "--qmp", vm.path, uid=ALICE, status=None)
            if done.returncode == 0:
                break
            self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
            wait_for(lambda: f"at {point} it is free or attached: {vfbroker_json('leases')}, "
                             f"{vfbroker_json('list')}", self.is_settled(vm))
            if vm.qmp.devices():
                attached += 1
                print(f"killed before message {point}: attached", flush=True)
                vm.kill()
                self.wait_until_free()
                vm = self.vm("killed", paused=True)
        print(f"of {point - 1} points {attached} left it attached", flush=True)
        # Greeting, lease, getfd, object-add, device_add and Transfer at least.
        self.assertGreater(point, 6)
        self.assertGreater(attached, 0)

    def is_settled(self, vm):
        def look():
            leases = vfbroker_json("leases")["leases"]
            devices = vm.qmp.devices()
            if not devices:
                return not leases and self.pool()["clean"] == 3
            return (len(leases) == 1 and leases[0]["owner"] == "process"
                    and devices == {f"vfbroker{leases[0]['id']}-0"})
        return look


class Run(Case):
    def qemu(self, pools, words, *, pass_fds=(), paused=True):
        return Qemu("run", [
            "vfbroker", "run", *pools, "--", "qemu-system-x86_64", *machine.GUEST_ACCEL, "-m", "256M",
            "-nodefaults", "-nographic", *(["-S"] if paused else []), "-sandbox", "on", "-qmp",
            "unix:/tmp/run.qmp,server=on,wait=off", *words], pass_fds=pass_fds)

    def start(self, pools, words, **options):
        qemu = self.qemu(pools, words, **options)
        self.addCleanup(qemu.kill)
        qemu.start()
        return qemu

    def test_two_pools_and_an_iommufd_of_its_own(self):
        ports = ["-M", "q35"]
        for bus in ("rp1", "rp2"):
            ports += ["-device", f"pcie-root-port,id={bus},chassis={bus[2:]}"]
        own, fds = [], ()
        if IOMMUFD:
            fds = (os.open("/dev/iommu", os.O_RDWR),)
            self.addCleanup(os.close, fds[0])
            own = ["-object", f"iommufd,id=mine,fd={fds[0]}"]
        qemu = self.start(["guests", "others"], [*ports, *own, "{}"], pass_fds=fds)
        self.assertEqual(qemu.qmp.devices(), {"vf0", "vf1"})
        self.assertEqual(qemu.qmp.iommufds(), ["mine"] if IOMMUFD else [])
        self.assertEqual({lease["pool"] for lease in vfbroker_json("leases")["leases"]},
                         {"guests", "others"})
        qemu.kill()
        self.wait_until_free()
        # One of ours, for both pools, where there is none.
        qemu = self.start(["guests", "others"], [*ports, "{}"])
        self.assertEqual(qemu.qmp.devices(), {"vf0", "vf1"})
        self.assertEqual(qemu.qmp.iommufds(), ["vfbroker0"] if IOMMUFD else [])
        qemu.kill()
        self.wait_until_free()

    def test_a_microvm(self):
        refused = vfbroker("run", "guests", "--", "qemu-system-x86_64", "-M", "microvm", "{}",
                           uid=ALICE, status=2)
        self.assertIn("a microvm has no PCI bus for the devices\nhint: -M microvm,pcie=on",
                      refused.stderr)
        run("ip", "addr", "add", "10.0.0.1/24", "dev", machine.netdev_of())
        self.addCleanup(run, "ip", "addr", "flush", "dev", machine.netdev_of())
        guest = self.start_guest(self.qemu(
            ["guests"], ["-M", "microvm,pcie=on", "-serial", "stdio", "-no-reboot",
                         *machine.guest_kernel("vfb.stay=1 vfb.ip=10.0.0.2/24 vfb.ping=10.0.0.1"),
                         "{}"], paused=False))
        self.assertEqual(guest.qmp.devices(), {"vf0"})
        guest.wait_for("GUEST ping ok")
        guest.kill()
        self.wait_until_free()


if __name__ == "__main__":
    unittest.main(verbosity=2)
