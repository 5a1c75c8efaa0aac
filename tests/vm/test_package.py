# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian packages, as they are installed, upgraded, downgraded, removed and purged on a host with
leases (./dev vm --systemd --nics 2). The tests are one story, in the order of their names."""
import glob
import grp
import os
import pathlib
import re
import signal
import subprocess
import unittest

import machine
from machine import ALICE, EVE, PF, Guest, Peer, run, vfbroker, vfbroker_json, wait_for

PACKAGES = machine.REPO / "build/package"
NAMES = ("vfbroker", "vfbroker-libvirt", "vfbroker-cdi", "vfbroker-cni", "libvfbroker1",
         "libvfbroker-dev")
SPARE = "0000:02:00.0"
OPERATOR = 2010
CONFIG = machine.CONFIG.format(vfs=4) + """
[pf.spare]
address = "0000:02:00.0"
vfs = 2

[pool.spare]
pf = "spare"
"""


def debs(folder):
    return [path for name in NAMES
            for path in glob.glob(f"{PACKAGES}/{folder}/{name}_*.deb")]


def dpkg(*arguments, status=0, **environment):
    return run("dpkg", *arguments, status=status,
               env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", **environment})


def versions():
    out = run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n",
              *NAMES, status=None).stdout
    return dict(line.split()[1:] for line in out.splitlines() if line.startswith("installed "))


def files_of_the_packages():
    paths = set(run("dpkg", "--listfiles", *NAMES).stdout.split("\n"))
    return {path for path in paths if "vfbroker" in path and os.path.lexists(path)}


def traces():
    """What scripts of the packages and the daemon leave, where they could leave something."""
    return run("find", "/etc", "/run", "/var/lib/systemd", "/var/lib/dpkg/info", "-xdev", "-path",
               "/run/vfb", "-prune", "-o", "-name", "*vfbroker*", "-print").stdout.splitlines()


def host_state(pf):
    """What the host finds again when everything was given back."""
    device = pathlib.Path(f"/sys/bus/pci/devices/{pf}")
    flags = int((device / "net" / machine.netdev_of(pf) / "flags").read_text(), 16)
    return {"vfs": (device / "sriov_numvfs").read_text().strip(),
            "autoprobe": (device / "sriov_drivers_autoprobe").read_text().strip(),
            "up": bool(flags & 1)}


def main_pid():
    return int(run("systemctl", "show", "-P", "MainPID", "vfbrokerd").stdout)


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        machine.add_users()
        # Of a system without services, as containers have it: packages may start none.
        pathlib.Path("/usr/sbin/policy-rc.d").unlink(missing_ok=True)
        # The index of all man pages of this system would be made anew, which takes minutes here.
        pathlib.Path("/var/lib/man-db/auto-update").unlink(missing_ok=True)
        cls.before = {pf: host_state(pf) for pf in (PF, SPARE)}
        cls.traces = traces()
        cls.guest = None

    def tearDown(self):
        result = self._outcome.result
        if any(test is self for test, _ in result.failures + result.errors):
            print("--- the journal:\n" + run("journalctl", "--unit", "vfbrokerd", "--no-pager", "-o",
                                             "cat").stdout, flush=True)

    def wait_for_clean(self, pool, count):
        wait_for(f"{count} of pool {pool} are clean", lambda: {
            entry["name"]: entry["clean"] for entry in vfbroker_json("pool")["pools"]
        }.get(pool) == count)

    def configure(self, text):
        pathlib.Path("/etc/vfbroker/vfbroker.toml").write_text(text, encoding="utf-8")

    def lease_ids(self):
        return [lease["id"] for lease in vfbroker_json("leases")["leases"]]

    def test_1_install(self):
        dpkg("-i", *debs("older"))
        self.assertEqual(versions(), dict.fromkeys(NAMES, "0.0.1"))
        # It runs, and manages nothing.
        for unit in ("vfbrokerd.socket", "vfbrokerd.service", "vfbroker-cdi.service"):
            self.assertEqual(run("systemctl", "is-active", unit).stdout, "active\n", unit)
            self.assertEqual(run("systemctl", "is-enabled", unit).stdout, "enabled\n", unit)
        self.assertEqual(vfbroker_json("pool")["pools"], [])
        self.assertEqual({pf: host_state(pf) for pf in (PF, SPARE)}, self.before)
        self.assertIn("#[pf.uplink]\n", pathlib.Path("/etc/vfbroker/vfbroker.toml").read_text())
        self.assertEqual(run("dpkg-query", "-W", "-f", "${Conffiles}", "vfbroker").stdout.split()[0],
                         "/etc/vfbroker/vfbroker.toml")
        hook = pathlib.Path("/etc/libvirt/hooks/qemu.d/vfbroker")
        self.assertEqual(hook.resolve(), pathlib.Path("/usr/sbin/vfbroker-libvirt-hook"))
        self.assertTrue(pathlib.Path("/usr/share/man/man5/vfbroker.toml.5.gz").exists())
        self.assertEqual(vfbroker("--version").stdout, "vfbroker 0.1.0\n")

    def test_2_its_group_administers(self):
        with open("/etc/passwd", "a", encoding="utf-8") as users:
            users.write(f"olga:x:{OPERATOR}:{OPERATOR}::/tmp:/bin/sh\n")
        run("gpasswd", "--add", "olga", "vfbroker-admin")
        group = grp.getgrnam("vfbroker-admin").gr_gid
        self.configure(CONFIG)

        def as_olga(*arguments, **options):
            return run("setpriv", f"--reuid={OPERATOR}", f"--regid={OPERATOR}",
                       f"--groups={group}", "vfbroker", *arguments, **options)
        refused = vfbroker("apply", "--yes", uid=EVE, status=3)
        self.assertIn("only root and members of the group vfbroker-admin may do that",
                      refused.stderr)
        self.assertEqual(vfbroker_json("pool")["pools"], [])
        as_olga("apply", "--yes")
        self.wait_for_clean("guests", 4)
        as_olga("drain", "pool:spare")
        as_olga("resume", "pool:spare")
        # Anybody's leases, but none of its own unless the pool says so.
        lease = vfbroker_json("lease", "guests", uid=ALICE)["lease"]["id"]
        self.assertEqual(vfbroker_json("leases", uid=EVE)["leases"], [])
        self.assertIn(f'"id": {lease}', re.sub(r'"id":\s*', '"id": ', as_olga(
            "leases", "--json").stdout))
        as_olga("lease", "guests", status=3)
        vfbroker("release", lease, uid=EVE, status=None)
        self.assertEqual(self.lease_ids(), [lease])
        as_olga("release", lease)
        self.wait_for_clean("guests", 4)

    def test_3_upgrade_with_three_leases(self):
        run("ip", "addr", "add", "10.0.0.1/24", "dev", machine.netdev_of())
        cls = type(self)
        cls.guest = Guest(ALICE)
        machine.start_guest(self.guest)
        self.guest.wait_for("GUEST ping ok")
        cls.program = subprocess.Popen(
            ["vfbroker", "run", "guests", "--", "bash", "-c", "echo started; exec sleep 1000",
             "bash", "{}"], stdout=subprocess.PIPE, text=True, **machine.as_user(ALICE))
        self.assertEqual(self.program.stdout.readline(), "started\n")
        cls.peer = Peer(ALICE)
        held = self.peer.lease()
        leases = vfbroker_json("leases")["leases"]
        self.assertEqual(len(leases), 3)
        before = main_pid()

        ping = subprocess.Popen(["ping", "-i", "0.5", "10.0.0.2"], stdout=subprocess.PIPE, text=True)
        dpkg("--unpack", *debs("bookworm"))
        # Its files are another version's now: the old daemon starts workers all the same, of its own.
        self.assertEqual(main_pid(), before)
        self.assertIn("(deleted)", os.readlink(f"/proc/{before}/exe"))
        wait_for("its workers have ended, being idle",
                 lambda: run("pgrep", "-P", before, status=None).stdout == "")
        function = held["functions"][0]["address"]
        shown = vfbroker_json("explain", function)
        self.assertNotIn("worker", str(shown.get("problem", "")))
        worker = run("pgrep", "-P", before).stdout.split()[0]
        self.assertTrue(os.path.samestat(os.stat(f"/proc/{worker}/exe"),
                                         os.stat(f"/proc/{before}/exe")))
        self.assertEqual(pathlib.Path(f"/proc/{worker}/comm").read_text(), "vfbrokerd\n")

        dpkg("--configure", "-a")
        after = main_pid()
        self.assertNotIn(after, (0, before))
        self.assertNotIn("0.0.1", versions().values())
        self.assertEqual(os.readlink(f"/proc/{after}/exe"), "/usr/sbin/vfbrokerd")
        self.assertEqual(run("systemctl", "is-active", "vfbrokerd.socket", "vfbrokerd.service",
                             "vfbroker-cdi.service").stdout, "active\n" * 3)
        # Nobody noticed, and the new one has all of them.
        self.assertEqual(vfbroker_json("leases")["leases"], leases)
        self.assertIsNone(self.guest.process.poll())
        self.assertIsNone(self.program.poll())
        self.assertEqual([lease["id"] for lease in
                          self.peer.call("ListLeases")["parameters"]["leases"]],
                         [lease["id"] for lease in leases])
        ping.send_signal(signal.SIGINT)
        said = ping.communicate(timeout=machine.LONG)[0]
        self.assertRegex(said, r" 0% packet loss", said)
        # Its workers work.
        self.assertNotIn("error", self.peer.call("Release", lease=held["id"]))
        self.peer.close()
        self.wait_for_clean("guests", 2)

    def test_4_with_leases_neither_downgrade_nor_removal(self):
        pid = main_pid()
        held = self.lease_ids()
        self.assertEqual(len(held), 2)
        names = [lease["functions"][0]["address"] for lease in vfbroker_json("leases")["leases"]]
        for how, arguments in (("downgrade", ["-i", *debs("older")]),
                               ("remove", ["--remove", *(name for name in NAMES)])):
            refused = dpkg(*arguments, status=1)
            said = refused.stdout + refused.stderr
            self.assertIn(f"cannot {how} vfbroker: functions are leased", said)
            self.assertIn("VFBROKER_REMOVE_ANYWAY=1", said)
            for name in names:
                self.assertIn(name, said)
            self.assertEqual(self.lease_ids(), held)
        self.assertNotEqual(versions()["vfbroker"], "0.0.1")
        # What depends on it may have gone before it was refused.
        dpkg("-i", *debs("bookworm"))
        self.assertEqual(self.lease_ids(), held)
        self.assertIsNone(self.guest.process.poll())
        self.assertNotEqual(pid, 0)

    def test_5_downgrade(self):
        self.guest.kill()
        self.program.kill()
        self.program.wait()
        # What is used is left up.
        run("ip", "addr", "flush", "dev", machine.netdev_of())
        self.wait_for_clean("guests", 4)
        dpkg("-i", *debs("older"))
        self.assertEqual(versions(), dict.fromkeys(NAMES, "0.0.1"))
        self.wait_for_clean("guests", 4)
        self.assertEqual(machine.driver_of(machine.vf_address(0)), "vfio-pci")
        dpkg("-i", *debs("bookworm"))
        self.wait_for_clean("guests", 4)

    def test_6_removal(self):
        dpkg("--remove", *NAMES)
        self.assertEqual({pf: host_state(pf) for pf in (PF, SPARE)}, self.before)
        wait_for("no vfbrokerd runs",
                 lambda: run("pgrep", "-x", "vfbrokerd", status=None).stdout == "")
        # The configuration stays, until purge.
        self.assertEqual(pathlib.Path("/etc/vfbroker/vfbroker.toml").read_text(), CONFIG)

    def test_7_removal_anyway(self):
        dpkg("-i", *debs("bookworm"))
        self.wait_for_clean("guests", 4)
        program = subprocess.Popen(
            ["vfbroker", "run", "guests", "--", "bash", "-c", "echo started; exec sleep 1000",
             "bash", "{}"], stdout=subprocess.PIPE, text=True, **machine.as_user(ALICE))
        self.addCleanup(program.kill)
        self.assertEqual(program.stdout.readline(), "started\n")
        lease = vfbroker_json("leases")["leases"][0]
        said = dpkg("--remove", *NAMES, VFBROKER_REMOVE_ANYWAY="1")
        self.assertIn(lease["functions"][0]["address"], said.stdout + said.stderr)
        self.assertIsNone(program.poll())
        self.assertEqual(machine.driver_of(lease["functions"][0]["address"]), "vfio-pci")
        self.assertEqual(host_state(SPARE), self.before[SPARE])
        logged = run("journalctl", "--identifier", "vfbroker", "--no-pager", "-o", "cat").stdout
        self.assertIn("VFBROKER_REMOVE_ANYWAY=1", logged)
        # It is known again after an installation, and ends with its holder.
        dpkg("-i", *debs("bookworm"))
        self.assertEqual(self.lease_ids(), [lease["id"]])
        program.kill()
        program.wait()
        self.wait_for_clean("guests", 4)

    def test_8_purge_leaves_nothing(self):
        files = files_of_the_packages()
        self.assertIn("/usr/sbin/vfbrokerd", files)
        dpkg("--purge", *NAMES)
        self.assertEqual({pf: host_state(pf) for pf in (PF, SPARE)}, self.before)
        self.assertEqual([path for path in files if os.path.lexists(path)], [])
        self.assertEqual(traces(), self.traces)
        with self.assertRaises(KeyError):
            grp.getgrnam("vfbroker-admin")


if __name__ == "__main__":
    unittest.main(verbosity=2, failfast=True)
