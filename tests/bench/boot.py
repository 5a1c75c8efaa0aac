# SPDX-License-Identifier: GPL-2.0-or-later
"""boot.py BUILD ROUNDS: from the start of vfbrokerd to its READY=1, with nothing there yet: the
inventory read, the VFs of two NICs and an NVMe controller created, each bound, judged, reset, its
attributes set and read back. Against boot_bench, which makes the same kernel calls bare. Both are
timed from the start of the process; they alternate, and after each all is restored.
Runs inside the emulated machine. Prints a line `NAME RATIO OURS FLOOR` (see table.py)."""
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vm"))
import machine  # pylint: disable=wrong-import-position

CONFIG = """
[pf.uplink]
address = "0000:01:00.0"
vfs = 7
[pf.second]
address = "0000:02:00.0"
vfs = 7
[pf.disks]
driver = "nvme"
vfs = 64
[pool.guests]
pf = ["uplink", "second"]
[pool.guests.attributes]
vlan = 100
spoof_check = false
max_tx_rate = 500
[pool.disks]
pf = "disks"
"""
DEVICES = pathlib.Path("/sys/bus/pci/devices")
NICS = {machine.PF: 7, "0000:02:00.0": 7}
PFS = NICS | {next(pathlib.Path("/sys/bus/pci/drivers/nvme").glob("0000:*")).name: 64}


def check():
    """Both have to have done the whole work."""
    for pf, vfs in PFS.items():
        drivers = {machine.driver_of(machine.vf_address(index, pf)) for index in range(vfs)}
        assert drivers == {"vfio-pci"}, (pf, drivers)
    for pf, vfs in NICS.items():
        for index in range(vfs):
            seen = machine.kernel_attributes(index, pf)
            assert (seen["vlan_list"][0]["vlan"], seen["spoofchk"], seen["rate"]["max_tx"],
                    seen["address"][:2] != "00") == (100, False, 500, True), (pf, seen)


def put_back():
    for pf in PFS:
        (DEVICES / pf / "sriov_numvfs").write_text("0", encoding="ascii")
        (DEVICES / pf / "sriov_drivers_autoprobe").write_text("1", encoding="ascii")
    for pf in NICS:
        machine.run("ip", "link", "set", machine.netdev_of(pf), "down")
    for left in pathlib.Path("/run/vfbroker").glob("state.db*"):
        left.unlink()


def seconds(action):
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def main():
    bench = f"{sys.argv[1]}/tests/bench/boot_bench"
    daemon = machine.Daemon(CONFIG)
    ours, floor = [], []
    put_back()
    for _ in range(int(sys.argv[2])):
        floor.append(seconds(lambda: subprocess.run([bench, *PFS], check=True)))
        check()
        put_back()
        ours.append(seconds(daemon.start))
        pools = {pool["name"]: pool["clean"] for pool in machine.vfbroker_json("pool")["pools"]}
        assert pools == {"guests": 14, "disks": 64}, (pools, daemon.log())
        check()
        daemon.stop()
        put_back()
        print(f"boot: {ours[-1]:.2f} s, bare {floor[-1]:.2f} s", file=sys.stderr, flush=True)
    ours, floor = statistics.median(ours), statistics.median(floor)
    print(f"boot {ours / floor:.2f} {ours * 1e6:.0f} {floor * 1e6:.0f}")


main()
