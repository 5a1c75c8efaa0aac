# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests on the emulated machine share: the daemon, its users, a varlink peer, guests.

Every wait has a deadline, and none waits for a time to pass: each waits for a state or an event.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

REPO = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("VFB_BUILD", REPO / "build/dev"))
SOCKET = "/run/vfbroker/vfbroker.sock"
PF = "0000:01:00.0"
IOMMUFD = os.environ.get("VFB_VM") == "full"
# Under emulation everything is slow: a guest boots in 20 s, and in more when the processors are
# shared.
LONG = 300
# For the first line of a guest's init.
BOOT = 150
# Options of QEMU for a guest inside.
GUEST_ACCEL = os.environ.get("VFB_GUEST_ACCEL", "").split()

# Two ordinary users of one group, and one who may nothing.
ALICE, BOB, EVE = 2001, 2002, 2003
TENANTS = 2000

CONFIG = """
[pf.uplink]
address = "0000:01:00.0"
vfs = {vfs}

[pool.guests]
pf = "uplink"
allow_groups = ["tenants"]
memlock_max = "1GiB"
tenant_may_set = ["mac", "vlan", "qos", "max_tx_rate", "trust", "spoof_check"]
"""


def install():
    """Puts the built programs where Debian would; the machine forgets it all at its end."""
    if not shutil.which("vfbroker"):
        subprocess.run(["cmake", "--install", str(BUILD), "--prefix", "/usr"],
                       check=True, stdout=subprocess.DEVNULL)
    add_users()


def add_users():
    with open("/etc/group", "r+", encoding="utf-8") as groups:
        if "tenants:" in groups.read():
            return
        groups.write(f"tenants:x:{TENANTS}:alice,bob\n")
    with open("/etc/passwd", "a", encoding="utf-8") as users:
        for name, uid in (("alice", ALICE), ("bob", BOB), ("eve", EVE)):
            users.write(f"{name}:x:{uid}:{uid}::/tmp:/bin/sh\n")


def as_user(uid):
    """Arguments of subprocess for a process of that user, with no privileges."""
    if uid == 0:
        return {}
    return {"user": uid, "group": uid, "extra_groups": [TENANTS] if uid in (ALICE, BOB) else []}


def run(*command, uid=0, status=0, timeout=LONG, **options):
    """Runs a program; its exit status must be `status` (None: any)."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=timeout, stdin=subprocess.DEVNULL, check=False,
                          **as_user(uid), **options)
    if status is not None and done.returncode != status:
        raise AssertionError(f"{' '.join(map(str, command))}: exit status {done.returncode}, not "
                             f"{status}\n{done.stdout}{done.stderr}")
    return done


def vfbroker(*arguments, **options):
    return run("vfbroker", *arguments, **options)


def vfbroker_json(*arguments, **options):
    return json.loads(vfbroker(*arguments, "--json", **options).stdout)


def wait_for(what, condition, timeout=LONG):
    """Until condition() is true (its value is returned); `what` (text, or a function that makes
    it) is said when it never was."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout} s still not: "
                                 f"{what() if callable(what) else what}")
        time.sleep(0.02)


def driver_of(address):
    link = pathlib.Path(f"/sys/bus/pci/devices/{address}/driver")
    return link.resolve().name if link.exists() else None


def vf_address(index, pf=PF):
    return pathlib.Path(f"/sys/bus/pci/devices/{pf}/virtfn{index}").resolve().name


def netdev_of(address=PF):
    return next(pathlib.Path(f"/sys/bus/pci/devices/{address}/net").iterdir()).name


def kernel_attributes(index, pf=PF):
    """What the kernel says of a VF, by a program that is not ours."""
    out = run("ip", "-j", "link", "show", "dev", netdev_of(pf)).stdout
    return json.loads(out)[0]["vfinfo_list"][index]


def kernel_stacks(name="vfbrokerd"):
    """Where the threads of the processes of that name are in the kernel: a device that does not
    come back is seen here and nowhere else."""
    text = ""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "comm").read_text().strip() != name:
                continue
            for task in (process / "task").iterdir():
                state = re.search(r"State:\s*(.*)", (task / "status").read_text()).group(1)
                text += f"{name} {process.name}/{task.name} {state}\n{(task / 'stack').read_text()}"
    return text


class Daemon:
    """vfbrokerd as its unit would start it, with sd_notify answered here."""

    def __init__(self, config=None, vfs=4, arguments=()):
        install()
        self.config = pathlib.Path("/etc/vfbroker")
        shutil.rmtree(self.config, ignore_errors=True)
        self.config.mkdir()
        self.configure(config if config is not None else CONFIG.format(vfs=vfs))
        self.arguments = list(arguments)
        self.wrapper = []  # a program that starts it, with its arguments
        self.log_path = pathlib.Path("/tmp/vfbrokerd.log")
        self.log_path.write_text("")
        self.process = None

    def configure(self, text):
        (self.config / "vfbroker.toml").write_text(text, encoding="utf-8")

    def start(self, ready=True):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with contextlib.suppress(FileNotFoundError):
            os.unlink("/tmp/notify")
        notify.bind("/tmp/notify")
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, "/usr/sbin/vfbrokerd", *self.arguments], stderr=log, stdout=log,
                stdin=subprocess.DEVNULL, env={"NOTIFY_SOCKET": "/tmp/notify"})
        notify.settimeout(LONG)
        while ready:
            try:
                message, fds, _, _ = socket.recv_fds(notify, 4096, 16)
            except TimeoutError as late:
                raise AssertionError("vfbrokerd is not ready:\n" + self.log()) from late
            for fd in fds:
                os.close(fd)
            if b"READY=1" in message:
                break
        notify.close()
        return self

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def wait_for_log(self, pattern, timeout=LONG):
        return wait_for(lambda: f"the log says {pattern}:\n{self.log()}",
                        lambda: re.search(pattern, self.log()), timeout)

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return None
        self.process.send_signal(how)
        status = self.process.wait(LONG)
        self.process = None
        return status

    def alive(self):
        return self.process.poll() is None


class Peer:
    """One varlink connection, without our client library."""

    def __init__(self, uid=0):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(LONG)
        # Who a peer is, the kernel records at connect(2).
        groups = os.getgroups()
        if uid:
            os.setgroups(as_user(uid)["extra_groups"])
            os.setegid(uid)
            os.seteuid(uid)
        try:
            self.socket.connect(SOCKET)
        finally:
            if uid:
                os.seteuid(0)
                os.setegid(0)
                os.setgroups(groups)
        self.buffer = b""
        self.fds = []

    def send(self, method, parameters=None, **body):
        body = {"method": method, "parameters": parameters or {}, **body}
        self.socket.sendall(json.dumps(body).encode() + b"\0")

    def receive(self):
        while b"\0" not in self.buffer:
            data, fds, _, _ = socket.recv_fds(self.socket, 1 << 16, 253)
            self.fds += fds
            if not data:
                raise EOFError("vfbrokerd closed the connection")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.send(f"io.vfbroker.{method}", parameters)
        return self.receive()

    def lease(self, pool="guests", **parameters):
        reply = self.call("Lease", pool=pool, **parameters)
        if "error" in reply:
            raise AssertionError(reply)
        return reply["parameters"]["lease"]

    def close(self):
        for fd in self.fds:
            os.close(fd)
        self.fds = []
        self.socket.close()


def start_guest(guest, deadline=BOOT):
    """guest.start(), until its init says its first line.

    Now and then the emulated processor ends a guest or stops it while it boots (README.md). That is
    no fault of what is tested, as long as its init has not said its first line: until then it is
    started again, once, and that is said. Later, and when the VMM reports an error, nothing is.
    Besides start() a guest has a name, said(), ended() (the exit status of its VMM; None: it
    runs), kill(), and wait_until_free(), until what it had is free again."""
    how = await_first_line(guest, deadline)
    if how:
        print(f"guest {guest.name} {how} before its first line: it is started again", flush=True)
        guest.kill()
        guest.wait_until_free()
        how = await_first_line(guest, deadline)
    if how:
        raise AssertionError(f"guest {guest.name} {how} before its first line, for the second time:\n"
                             f"{guest.said()}")


def await_first_line(guest, deadline):
    """How it did not come, or None."""
    guest.start()
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        # In this order: what it said last is not overlooked.
        status = guest.ended()
        if "GUEST boots" in guest.said():
            return None
        if status:
            raise AssertionError(f"the VMM of guest {guest.name} ended with {status}:\n{guest.said()}")
        if status == 0:
            return "ended"
        time.sleep(0.02)
    return f"stood still for {deadline} s"


def wait_until_free(pid):
    """Until no lease of that process is left, and no function is between its holder and the pool."""
    def free():
        if any(lease.get("pid") == pid for lease in vfbroker_json("leases")["leases"]):
            return False
        return all(pool["clean"] + pool["leased"] == pool["total"]
                   for pool in vfbroker_json("pool")["pools"])
    wait_for(lambda: f"what process {pid} had is free again: {vfbroker('leases').stdout}"
                     f"{vfbroker('list').stdout}", free)


class Vmm:
    """A VMM in a process of its own; its console, and what it complains of, is in a file."""

    def __init__(self, name, uid, command, **options):
        self.name = name
        self.console = pathlib.Path(f"/tmp/{name}.log")
        self.command = [str(word) for word in command]
        self.options = {**as_user(uid), **options}
        self.process = None

    def start(self):
        with open(self.console, "w", encoding="utf-8") as out:
            self.process = subprocess.Popen(self.command, stdout=out, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL, **self.options)

    def ended(self):
        return self.process.poll()

    def said(self):
        return self.console.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, pattern):
        """In whole lines: the last one may be on its way."""
        def look():
            ended = self.ended()
            found = re.search(pattern, "".join(self.said().rpartition("\n")[:2]))
            if not found and ended is not None:
                raise AssertionError(f"QEMU ended with {ended}:\n{self.said()}")
            return found
        return wait_for(lambda: f"the guest says {pattern}:\n{self.said()}", look, LONG)

    def wait_until_free(self):
        wait_until_free(self.process.pid)

    def kill(self):
        self.process.kill()
        self.process.wait(LONG)


class Guest(Vmm):
    """A guest inside the machine, under vfbroker run."""

    def __init__(self, uid, *lease_options, name="guest", pool="guests",
                 append="vfb.stay=1 vfb.ip=10.0.0.2/24 vfb.ping=10.0.0.1"):
        # Fewer than a guest needs: that the daemon raises the limit is part of what is tested.
        super().__init__(name, uid, [
            "prlimit", "--memlock=65536:65536", "vfbroker", "run", pool, *lease_options,
            "--device-option", "bus=rp1", "--", "qemu-system-x86_64", *GUEST_ACCEL, "-M", "q35",
            "-m", "256M", "-nodefaults", "-nographic", "-serial", "stdio", "-no-reboot",
            "-device", "pcie-root-port,id=rp1", "{}", *guest_kernel(append)])


def guest_kernel(append):
    """Options of QEMU: the guest's kernel, with these parameters as well."""
    return ["-kernel", os.environ["VFB_GUEST_KERNEL"], "-initrd", os.environ["VFB_GUEST_INITRD"],
            "-append", f"{os.environ['VFB_GUEST_APPEND']} {append}"]


class Test(unittest.TestCase):
    """Starts a daemon with the configuration of the class; shows its log when a test fails."""
    config = None
    vfs = 4

    def setUp(self):
        self.daemon = Daemon(self.config, self.vfs).start()
        self.addCleanup(self.finish)

    def finish(self):
        result = self._outcome.result
        failed = any(test is self for test, _ in result.failures + result.errors)
        ended = self.daemon.process.poll()
        if failed or ended is not None:
            # Before anything else is asked of a kernel that may be stuck.
            print(f"--- vfbrokerd said:\n{self.daemon.log()}\n--- and is in the kernel at:\n"
                  f"{kernel_stacks()}", flush=True)
        self.daemon.stop()
        # What the next test starts from: no VFs, and no promise about them.
        shutil.rmtree("/run/vfbroker", ignore_errors=True)
        device = pathlib.Path(f"/sys/bus/pci/devices/{PF}")
        (device / "sriov_numvfs").write_text("0")
        (device / "sriov_drivers_autoprobe").write_text("1")
        run("ip", "link", "set", netdev_of(), "down")

    def start_guest(self, guest):
        self.addCleanup(guest.kill)
        start_guest(guest)
        return guest

    def pool(self, name="guests"):
        pools = vfbroker_json("pool")["pools"]
        return next(pool for pool in pools if pool["name"] == name)

    def wait_for_clean(self, count, timeout=LONG):
        return wait_for(f"{count} functions are clean",
                        lambda: self.pool()["clean"] == count, timeout)
