# SPDX-License-Identifier: GPL-2.0-or-later
"""plan.py BUILD ROUNDS: `vfbroker plan` of 2,048 VFs, against reading the inventory of the same
functions (inventory_bench, a program that does nothing else). Both are whole programs, and the
daemon has been started anew, so that the processes that survey the PFs are started within the
plan, as after any rest.

The machine's /sys is that of a generated host with 8 PFs and 2,048 VFs and nothing else; the
netdevs of its six NICs are real ones of netdevsim, with as many VFs, so that their attributes come
from the kernel. Two plans are measured: all VFs into pools (what is there stays), and another
number of VFs, for which every VF is asked whether anybody uses it.
Runs inside the emulated machine. Prints lines `NAME RATIO OURS FLOOR` (see table.py)."""
import json
import os
import pathlib
import shutil
import stat
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vm"))
import machine  # pylint: disable=wrong-import-position

TREE = pathlib.Path("/tmp/tree")
DEVICES = TREE / "sys/bus/pci/devices"
VFS = 256


def network_of(number, pf):
    """A netdev of the kernel with the VFs of the PF, whose own it becomes."""
    simulated = pathlib.Path("/sys/bus/netdevsim")
    (simulated / "new_device").write_text(f"{number} 1", encoding="ascii")
    name = f"netdevsim{number}"
    pathlib.Path(f"/sys/kernel/debug/netdevsim/{name}/max_vfs").write_text(str(VFS),
                                                                           encoding="ascii")
    device = simulated / "devices" / name
    (device / "sriov_numvfs").write_text(str(VFS), encoding="ascii")
    real = next((device / "net").iterdir())
    made = next((pf / "net").iterdir())
    made = made.rename(made.with_name(real.name))
    replace(made / "ifindex", (real / "ifindex").read_text(encoding="ascii"))


def replace(path, text):
    """Files of the generated host share their contents."""
    path.unlink()
    path.write_text(text, encoding="ascii")


def make_host(build):
    machine.run(build / "tests/tree/vfb-tree", TREE, "--functions", "1")
    pfs = sorted(path.parent for path in DEVICES.glob("*/sriov_totalvfs"))
    assert [len(list(pf.glob("virtfn*"))) for pf in pfs] == [VFS] * 8, pfs
    for number, pf in enumerate(pfs, 1):
        if (pf / "net").exists():
            network_of(number, pf)
    # An interface that is up would be the host's own, and its VF kept as it is.
    vfs = [link.parent for link in DEVICES.glob("*/physfn")]
    for flags in (path for vf in vfs for path in vf.glob("net/*/flags")):
        replace(flags, "0x1002\n")
    # The groups' nodes, so that there is something to look for in every process; those that the
    # machine itself has are of other functions.
    nodes = pathlib.Path("/dev/vfio")
    nodes.mkdir(exist_ok=True)
    groups = {(vf / "iommu_group").resolve().name for vf in vfs}
    for number, group in enumerate(sorted(groups)):
        (nodes / group).unlink(missing_ok=True)
        os.mknod(nodes / group, 0o600 | stat.S_IFCHR, os.makedev(511, number))
    # The tests' machine is thrown away at its end.
    machine.run("mount", "--bind", TREE / "sys", "/sys")
    return [pf.name for pf in pfs]


def config(pfs, vfs):
    text = ""
    for number, pf in enumerate(pfs):
        text += f'[pf.pf{number}]\naddress = "{pf}"\nvfs = {vfs}\n'
        text += f'[pool.pool{number}]\npf = "pf{number}"\n'
    return text


def seconds(command, status):
    begin = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    taken = time.perf_counter() - begin
    assert done.returncode == status, (command, done.returncode)
    return taken, done.stdout


def planned(daemon, text):
    daemon.configure("")
    daemon.start()
    daemon.configure(text)
    taken, out = seconds(["vfbroker", "plan", "--json"], 2)
    daemon.stop()
    pfs = json.loads(out)["physicalFunctions"]
    assert len(pfs) == 8 and not any(pf["blocked"] for pf in pfs), pfs[0]["blocked"]
    slots = sum(change["property"] == "pool" for pf in pfs for change in pf["changes"])
    return taken, slots


def main():
    build = pathlib.Path(sys.argv[1]).absolute()
    daemon = machine.Daemon("")
    # From the same file system as vfbroker.
    bench = shutil.copy(build / "tests/pci/inventory_bench", "/tmp")
    pfs = make_host(build)
    floor, same, other = [], [], []
    for _ in range(int(sys.argv[2])):
        taken, out = seconds([bench], 0)
        assert b" 0 problems" in out, out
        floor.append(taken)
        taken, slots = planned(daemon, config(pfs, VFS))
        assert slots == 8 * VFS, slots
        same.append(taken)
        taken, slots = planned(daemon, config(pfs, VFS - 1))
        assert slots == 8 * (VFS - 1), slots
        other.append(taken)
        print(f"plan: {same[-1]:.2f} s, another number {other[-1]:.2f} s, inventory "
              f"{floor[-1]:.2f} s", file=sys.stderr, flush=True)
    floor = statistics.median(floor)
    for name, taken in (("plan", same), ("plan_resize", other)):
        taken = statistics.median(taken)
        print(f"{name} {taken / floor:.2f} {taken * 1e6:.0f} {floor * 1e6:.0f}")


main()
