# SPDX-License-Identifier: GPL-2.0-or-later
"""Containers get VFs by the Container Device Interface: the specifications that vfbroker-cdi keeps,
and podman, which starts its hooks."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import unittest

import machine
from machine import IOMMUFD, run, vf_address, vfbroker, vfbroker_json, wait_for

PROGRAM = "/usr/libexec/vfbroker-cdi"
FOLDER = pathlib.Path("/var/run/cdi")
ROOT = pathlib.Path("/tmp/rootfs")
ENVIRONMENT = {**os.environ, "CONTAINERS_CONF": "/tmp/containers.conf"}
VFS = 7

CONFIG = """
[pf.uplink]
address = "0000:01:00.0"
vfs = 7

[pool.guests]
pf = "uplink"
vfs = "0-3"
memlock_max = "1GiB"
"""
# DPDK of Debian 12 knows groups only.
DPDK = """
[pool.dpdk]
pf = "uplink"
vfs = "4-5"
backend = "group"
memlock_max = "1GiB"
"""
# No kind of CDI device can be called this.
ODD = """
[pool.9lives]
pf = "uplink"
vfs = "6"
"""

TESTPMD = """set fwd txonly
start
show port info 0
stop
show port stats all
quit
"""

# Opens every VFIO node that is there, and says which could be opened.
OPEN = """
for node in /dev/iommu /dev/vfio/* /dev/vfio/devices/*; do
    [ ! -c "$node" ] || { (exec 3<>"$node") && echo "opened $node"; }
done
echo "locked $(ulimit -l)"
"""


def nodes_of(address, backend=None):
    """What sysfs says: the VFIO nodes of a function."""
    device = pathlib.Path(f"/sys/bus/pci/devices/{address}")
    if backend == "group" or (backend is None and not IOMMUFD):
        return [f"/dev/vfio/{(device / 'iommu_group').resolve().name}", "/dev/vfio/vfio"]
    folder = device / "vfio-dev"
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return [f"/dev/vfio/devices/{name}" for name in names] + ["/dev/iommu"]


def device(address):
    return address.replace(":", "-").replace(".", "-")


def spec(pool):
    with contextlib.suppress(FileNotFoundError):
        return json.loads((FOLDER / f"vfbroker-{pool}.json").read_text(encoding="utf-8"))
    return None


def spec_nodes(pool):
    """The nodes that the specification of a pool gives for each of its devices."""
    return {one["name"]: [node["path"] for node in one["containerEdits"].get("deviceNodes", [])]
            for one in (spec(pool) or {"devices": []})["devices"]}


def true_nodes(indexes, backend=None):
    return {**{device(vf_address(i)): nodes_of(vf_address(i), backend) for i in indexes}, "any": []}


def wait_for_spec(pool, indexes, backend=None):
    wait_for(lambda: f"the specification of {pool} is {true_nodes(indexes, backend)}: {spec(pool)}",
             lambda: spec_nodes(pool) == true_nodes(indexes, backend))


class Cdi(machine.Test):
    config = CONFIG + DPDK + ODD

    def setUp(self):
        super().setUp()
        shutil.rmtree(FOLDER, ignore_errors=True)
        self.wait_for_clean(4)
        wait_for("all VFs are clean", lambda: self.pool("dpdk")["clean"] == 2)
        self.log_path = pathlib.Path("/tmp/vfbroker-cdi.log")
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.watch = subprocess.Popen([PROGRAM, "watch"], stderr=log, stdin=subprocess.DEVNULL)
        self.addCleanup(self.end_watch)
        wait_for_spec("guests", range(4))
        wait_for_spec("dpdk", (4, 5), "group")

    def end_watch(self):
        self.watch.kill()
        self.watch.wait()

    def said(self):
        return self.log_path.read_text(encoding="utf-8")

    def test_specifications_are_true(self):
        self.assertEqual(spec("guests")["kind"], "vfbroker.io/guests")
        self.assertEqual(FOLDER.stat().st_mode & 0o7777, 0o755)
        self.assertIsNone(spec("9lives"))
        self.assertIn("pool 9lives", self.said())
        # Whoever calls it gets every message once.
        self.assertEqual(self.said().count("hint:"), 1, self.said())
        peer = machine.Peer()
        self.assertEqual(peer.call("Watch")["parameters"]["code"], "invalid")
        peer.close()
        others = FOLDER / "vendor.json"
        others.write_text("{}")
        inode = (FOLDER / "vfbroker-guests.json").stat().st_ino
        # A pool goes, and the other's file stays as it is.
        self.daemon.configure(CONFIG + ODD)
        vfbroker("reload")
        wait_for("the specification of dpdk has gone", lambda: spec("dpdk") is None)
        self.assertEqual((FOLDER / "vfbroker-guests.json").stat().st_ino, inode)
        self.assertEqual(others.read_text(), "{}")
        # VFs go, and come.
        vfbroker("resize", "uplink", 2)
        wait_for_spec("guests", range(2))
        self.wait_for_clean(2)
        vfbroker("resize", "uplink", 7)
        self.wait_for_clean(4)
        wait_for_spec("guests", range(4))
        self.assertEqual(self.watch.poll(), None)
        # It ends with the daemon, for its unit to start it again.
        self.daemon.stop(signal.SIGKILL)
        self.assertEqual(self.watch.wait(machine.LONG), 1)
        self.assertIn("vfbrokerd closed the connection", self.said())
        self.daemon.start()

    def test_the_end_of_a_container_ends_no_vm_of_its_name(self):
        vm = subprocess.Popen(["vfbroker", "run", "guests", "--guest", "web", "--", "sh", "-c",
                               "exec sleep 1000", "{}"], stdin=subprocess.DEVNULL)
        self.addCleanup(vm.wait, machine.LONG)
        self.addCleanup(vm.kill)
        wait_for("it has a lease", lambda: vfbroker_json("leases")["leases"])
        lease, = vfbroker_json("leases")["leases"]
        self.assertEqual((lease["guest"], lease["owner"], lease["uid"], lease["pid"]),
                         ("web", "process", 0, vm.pid))
        subprocess.run([PROGRAM, "release"], text=True, check=True, timeout=machine.LONG,
                       input=json.dumps({"id": "web", "status": "stopped", "bundle": "/"}))
        self.assertEqual(vfbroker_json("leases")["leases"], [lease])
        vm.kill()
        self.wait_for_clean(4)
        self.assertEqual(vfbroker_json("leases")["leases"], [])


class Podman(Cdi):
    """The specifications as podman and crun take them."""

    def setUp(self):
        super().setUp()
        for name in ("proc", "sys", "dev", "etc", "run", "tmp", "var", "usr"):
            (ROOT / name).mkdir(parents=True, exist_ok=True)
        for name in ("bin", "lib", "lib64", "sbin"):
            if not (ROOT / name).is_symlink():
                (ROOT / name).symlink_to(f"usr/{name}")
        if not (ROOT / "var/run").is_symlink():
            (ROOT / "var/run").symlink_to("/run")
        shutil.copy("/etc/ld.so.cache", ROOT / "etc/ld.so.cache")
        pathlib.Path("/tmp/containers.conf").write_text(
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n', encoding="utf-8")

    # Only the methods of this class.
    test_specifications_are_true = None
    test_the_end_of_a_container_ends_no_vm_of_its_name = None

    @staticmethod
    def command(*words):
        return ["podman", "--root", "/tmp/podman", "--runroot", "/tmp/podman-run",
                "--storage-driver", "vfs", *(str(word) for word in words)]

    @staticmethod
    def options(devices):
        given = [word for name in devices for word in ("--device", f"vfbroker.io/{name}")]
        return [*given, "--network", "none", "--log-driver", "none", "--security-opt",
                "seccomp=unconfined", "-v", "/usr:/usr:ro", "--rootfs", ROOT]

    def podman(self, *words, **options):
        return run(*self.command(*words), env=ENVIRONMENT, **options)

    def container(self, devices, *command, options=(), **more):
        return self.podman("run", *options, *self.options(devices), *command, **more)

    def start(self, name, *devices):
        """A container in the background; its first process."""
        self.container(devices, "sleep", "1000", options=("-d", "--name", name))
        self.addCleanup(self.podman, "rm", "-f", "-t", "0", name, status=None)
        return self.inspect(name, "{{.State.Pid}}")

    def inspect(self, name, what):
        text = self.podman("inspect", "--format", what, name).stdout.strip()
        return int(text) if text.isdigit() else text

    def leases(self):
        return vfbroker_json("leases")["leases"]

    def all_back(self):
        self.wait_for_clean(4)
        self.assertEqual(self.leases(), [])

    def test_any_for_the_life_of_the_container(self):
        said = self.container(["guests=any"], "sh", "-c", OPEN, options=("--rm",)).stdout
        # The first that is free: its own nodes, those of one backend, and no others.
        self.assertEqual(sorted(re.findall(r"opened (.*)", said)), sorted(nodes_of(vf_address(0))),
                         said)
        self.assertIn("locked 1048576", said)
        self.all_back()
        # Two at once.
        pids = {self.start("first", "guests=any"), self.start("second", "guests=any")}
        leases = self.leases()
        self.assertEqual({lease["pid"] for lease in leases}, pids)
        self.assertEqual({lease["guest"] for lease in leases},
                         {self.inspect(name, "{{.Id}}") for name in ("first", "second")})
        self.assertEqual({(lease["owner"], lease["handOff"]) for lease in leases},
                         {("process", "none")})
        self.assertEqual(len({lease["functions"][0]["address"] for lease in leases}), 2)
        # The first process is killed: the lease ends with it.
        first = self.inspect("first", "{{.State.Pid}}")
        os.kill(first, signal.SIGKILL)
        wait_for("its lease has ended", lambda: [lease["pid"] for lease in self.leases()] ==
                 list(pids - {first}))
        # conmon is killed: nobody calls the hooks at the container's end. The container lives on.
        second = self.inspect("second", "{{.State.Pid}}")
        os.kill(self.inspect("second", "{{.State.ConmonPid}}"), signal.SIGKILL)
        self.assertEqual(len(self.leases()), 1)
        os.kill(second, signal.SIGKILL)
        self.all_back()

    def test_by_function(self):
        wanted = vf_address(2)
        said = self.container([f"guests={device(wanted)}"], "sh", "-c", OPEN,
                              options=("--rm",)).stdout
        self.assertEqual(sorted(re.findall(r"opened (.*)", said)), sorted(nodes_of(wanted)), said)
        # Somebody else has it.
        held = machine.Peer()
        answer = held.call("Lease", pool="guests", functions=[wanted], guest="web", handOff="none")
        self.assertIn("lease", answer["parameters"], answer)
        refused = self.container([f"guests={device(wanted)}"], "true", options=("--rm",), status=None)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(f"cannot lease {wanted} from pool guests", refused.stderr)
        self.assertIn("is leased", refused.stderr)
        self.assertIn("for web", refused.stderr)
        self.assertIn("hint: take another function", refused.stderr)
        held.call("Lease", pool="guests", count=3, handOff="none")
        refused = self.container(["guests=any"], "true", options=("--rm",), status=None)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("of 4 functions 4 leased", refused.stderr)
        held.close()
        self.all_back()
        # With no daemon nothing is given, and the message says what to do.
        self.daemon.stop()
        try:
            refused = self.container(["guests=any"], "true", options=("--rm",), status=None)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("systemctl start vfbrokerd", refused.stderr)
        finally:
            self.daemon.start()

    def test_a_killed_runtime_leaves_nothing(self):
        self.daemon.process.send_signal(signal.SIGSTOP)
        try:
            podman = subprocess.Popen(self.command("run", "--rm", *self.options(["guests=any"]), "true"),
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      stdin=subprocess.DEVNULL, env=ENVIRONMENT)
            # It waits for the daemon, and crun for it.
            hook = int(wait_for("the hook runs", lambda: run(
                "pgrep", "-f", "vfbroker-cdi lease", status=None).stdout.strip()))
            crun = int(run("ps", "-o", "ppid=", "-p", hook).stdout)
            self.assertEqual(pathlib.Path(f"/proc/{crun}/comm").read_text().strip(), "crun")
            os.kill(crun, signal.SIGKILL)
        finally:
            self.daemon.process.send_signal(signal.SIGCONT)
        self.assertNotEqual(podman.wait(machine.LONG), 0)
        wait_for("the hook has ended", lambda: not pathlib.Path(f"/proc/{hook}").exists())
        self.all_back()

    def test_testpmd_in_a_container(self):
        address = vf_address(4)
        done = subprocess.run(
            self.command("run", "--rm", "-i", *self.options([f"dpdk={device(address)}"]),
                         "dpdk-testpmd", "--no-huge", "-m", "128", "--no-telemetry", "-l", "0,1",
                         "-a", address, "--", "-i", "--total-num-mbufs=2048"),
            input=TESTPMD, capture_output=True, text=True, timeout=machine.LONG, check=False,
            env=ENVIRONMENT)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 0, said)
        self.assertIn("Driver name: net_e1000_igb_vf", said)
        sent = [int(count) for count in re.findall(r"TX-packets: (\d+)\s+TX-errors", said)]
        self.assertTrue(sent and all(sent), said)
        wait_for("it is clean", lambda: self.pool("dpdk")["clean"] == 2)
        self.assertEqual(self.leases(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
