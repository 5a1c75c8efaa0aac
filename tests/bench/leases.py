# SPDX-License-Identifier: GPL-2.0-or-later
"""leases.py BUILD: starts vfbrokerd inside the emulated machine and runs lease_bench against it."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vm"))
import machine  # pylint: disable=wrong-import-position

CONFIG = """
[pf.uplink]
address = "0000:01:00.0"
vfs = 7
[pool.guests]
pf = "uplink"
vfs = "0-5"
"""

daemon = machine.Daemon(CONFIG).start()
try:
    # The floor opens a function of its own, that no pool has.
    spare = machine.vf_address(6)
    override = pathlib.Path(f"/sys/bus/pci/devices/{spare}/driver_override")
    override.write_text("vfio-pci", encoding="ascii")
    pathlib.Path("/sys/bus/pci/drivers_probe").write_text(spare, encoding="ascii")
    subprocess.run([f"{sys.argv[1]}/tests/bench/lease_bench", "guests", spare, "60"], check=True)
finally:
    daemon.stop()
