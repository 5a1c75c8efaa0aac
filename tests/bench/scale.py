# SPDX-License-Identifier: GPL-2.0-or-later
"""scale.py BUILD: a host of 4,096 functions, as a generated tree: how long a cold enumeration takes
against lspci, what `list` costs on top of an empty call, and what the daemon costs at rest.
Prints lines `NAME RATIO OURS FLOOR` (see table.py)."""
import json

import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 15


def seconds(command):
    begin = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def enumerate_tree(build, tree):
    ours, lspci = [], []
    for _ in range(ROUNDS):
        ours.append(seconds([build / "tests/pci/inventory_bench", tree]))
        lspci.append(seconds(["lspci", "-A", "linux-sysfs", "-O",
                              f"sysfs.path={tree}/sys/bus/pci", "-D", "-k"]))
    ours, lspci = statistics.median(ours), statistics.median(lspci)
    print(f"enumerate {ours / lspci:.2f} {ours * 1e6:.0f} {lspci * 1e6:.0f}")


class Peer:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        # Once: memory that is new for each call would be measured with it.
        self.buffer = memoryview(bytearray(8 << 20))

    def call(self, method):
        self.socket.sendall(json.dumps({"method": method}).encode() + b"\0")
        size = 0
        while size == 0 or self.buffer[size - 1] != 0:
            size += self.socket.recv_into(self.buffer[size:])
        return self.buffer[:size - 1]


def median_of(action):
    times = []
    for _ in range(ROUNDS * 4):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def status_of(pid, field):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line for line in text.splitlines() if line.startswith(field)).split()[1])


def daemon(build, tree, folder):
    path = f"{folder}/socket"
    (pathlib.Path(folder) / "config").mkdir()
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(f"{folder}/notify")
    process = subprocess.Popen(
        [build / "src/daemon/vfbrokerd", "--root", tree, "--socket", path, "--state",
         f"{folder}/state.db", "--config", f"{folder}/config"],
        env={"NOTIFY_SOCKET": f"{folder}/notify"}, stderr=subprocess.DEVNULL)
    try:
        while b"READY=1" not in notify.recv(4096):
            pass
        peer = Peer(path)
        count = len(json.loads(bytes(peer.call("io.vfbroker.List")))["parameters"]["functions"])
        assert count == 4096, count
        empty = median_of(lambda: peer.call("org.varlink.service.GetInfo"))
        listed = median_of(lambda: peer.call("io.vfbroker.List"))
        print(f"list_call {(listed - empty) * 1e3:.2f} {listed * 1e6:.0f} {empty * 1e6:.0f}")
        cli = [build / "src/cli/vfbroker", "--socket", path]
        nothing = median_of(lambda: seconds([*cli, "pool", "--json"]))
        everything = median_of(lambda: seconds([*cli, "list", "--all"]))
        print(f"list_cli {(everything - nothing) * 1e3:.2f} {everything * 1e6:.0f} "
              f"{nothing * 1e6:.0f}")
        print(f"memory {status_of(process.pid, 'VmRSS') / 1024:.1f} 0 0")
        # The inventory worker ends when idle; after that nothing may happen at all.
        time.sleep(7)
        before = status_of(process.pid, "voluntary_ctxt_switches")
        time.sleep(10)
        print(f"wakeups {status_of(process.pid, 'voluntary_ctxt_switches') - before} 0 0")
    finally:
        process.terminate()
        process.wait()


def main():
    build = pathlib.Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory() as folder:
        tree = f"{folder}/tree"
        subprocess.run([build / "tests/tree/vfb-tree", tree], check=True,
                       stdout=subprocess.DEVNULL)
        enumerate_tree(build, tree)
        daemon(build, tree, folder)


main()
