# SPDX-License-Identifier: GPL-2.0-or-later
"""No configuration takes the service down, and none asks a card for what it cannot do."""
import os
import pathlib
import re
import shutil
import subprocess
import unittest

import machine
from machine import ALICE, PF, run, vfbroker, vfbroker_json, wait_for

FOLDER = pathlib.Path("/etc/vfbroker")
GOOD = machine.CONFIG.format(vfs=4)


def write(name, content):
    (FOLDER / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def huge():
    write("huge.toml", "# ")
    os.truncate(FOLDER / "huge.toml", 100 << 20)


# What is written, and what is said of it. `vfbroker.toml` is right unless it is written over.
WRONG = {
    "no TOML": (lambda: write("vfbroker.toml", "[pf.uplink\naddress = 1\n"), r"vfbroker\.toml:1:"),
    "unknown key": (lambda: write("vfbroker.toml", GOOD.replace("vfs = 4", "num_vfs = 4")),
                    r"vfbroker\.toml:4:1: unknown key 'num_vfs'.*\n.*did you mean 'vfs'\?"),
    "out of range": (lambda: write("vfbroker.toml", GOOD.replace("vfs = 4", "vfs = 70000")),
                     r"vfbroker\.toml:4:7: .*70000 is not from 1 to 65535"),
    "one PF twice": (lambda: write("x.toml", f"[pf.lan]\naddress = '{PF}'\nvfs = 2\n"),
                     r"select the same PF"),
    "a folder": (lambda: (FOLDER / "x.toml").mkdir(), r"x\.toml: it is a folder"),
    "a pipe": (lambda: os.mkfifo(FOLDER / "x.toml"), r"x\.toml: it is a pipe"),
    "unreadable": (lambda: (FOLDER / "x.toml").symlink_to("/nowhere"), r"x\.toml: cannot open it"),
    "no text": (lambda: write("x.toml", b"# \xff\xfe\n"), r"x\.toml:1:"),
    "huge": (huge, r"huge\.toml: it is larger than 1024 KiB"),
    "no folder": (lambda: (shutil.rmtree(FOLDER), FOLDER.write_text("")),
                  r"/etc/vfbroker: cannot open it: Not a directory"),
}


def right_again():
    """Whatever was made of the folder: it has the one file that is right."""
    if FOLDER.is_file():
        FOLDER.unlink()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    write("vfbroker.toml", GOOD)


def vfs_of_card():
    return pathlib.Path(f"/sys/bus/pci/devices/{PF}/sriov_numvfs").read_text().strip()


class Wrong(unittest.TestCase):
    """From the first start of the boot on."""

    def setUp(self):
        self.daemon = machine.Daemon()
        self.addCleanup(self.finish)

    def finish(self):
        self.daemon.stop()
        right_again()
        shutil.rmtree("/run/vfbroker", ignore_errors=True)

    def assert_told_first(self, pattern, in_force):
        text = vfbroker("status").stdout
        self.assertTrue(text.startswith("configuration: wrong; "), text)
        self.assertRegex(text, pattern)
        self.assertIn(in_force, text.splitlines()[0])
        first = vfbroker_json("doctor", status=11)["findings"][0]
        self.assertEqual((first["check"], first["level"]), ("configuration", "fail"))

    def test_each_kind(self):
        for kind, (make, says) in WRONG.items():
            with self.subTest(kind):
                right_again()
                make()
                self.assertRegex(vfbroker("check", status=1).stdout, says)
                self.daemon.start()
                self.assert_told_first(says, "no pool has functions")
                vfbroker("lease", "guests", status=4)
                self.assertRegex(vfbroker("reload", status=1).stderr, says.split(": ")[0])
                self.assertTrue(self.daemon.alive())
                self.assertEqual(vfs_of_card(), "0")
                self.assertEqual(self.daemon.stop(), 0)

    def test_nothing_is_no_mistake(self):
        for make in (lambda: shutil.rmtree(FOLDER), lambda: write("vfbroker.toml", ""),
                     lambda: (FOLDER / "vfbroker.toml").unlink()):
            right_again()
            make()
            vfbroker("check")
            self.daemon.start()
            self.assertTrue(vfbroker("status").stdout.startswith("vfbrokerd "))
            self.assertEqual(self.daemon.stop(), 0)

    def test_it_is_right_at_last(self):
        write("vfbroker.toml", GOOD + "\nnonsense\n")
        self.daemon.start()
        self.assert_told_first(r"vfbroker\.toml:", "no pool")
        right_again()
        self.assertEqual(vfbroker("reload").stdout, "")
        self.assertEqual(vfbroker_json("pool")["pools"][0]["clean"], 4)
        self.assertTrue(vfbroker("status").stdout.startswith("vfbrokerd "))
        vfbroker("check")


class Leases(machine.Test):
    """A daemon that finds a wrong configuration takes over what the one before it promised."""

    def setUp(self):
        right_again()
        super().setUp()
        self.wait_for_clean(4)
        self.addCleanup(right_again)

    def lend_node(self):
        """A node that belongs to a process of ALICE, which is returned with the node."""
        process = subprocess.Popen(
            ["vfbroker", "run", "guests", "--backend", "group", "--vlan", "5", "--", "bash", "-c",
             "read -r line", "bash", "{}"], stdin=subprocess.PIPE, **machine.as_user(ALICE))
        lease = wait_for("it is leased", lambda: [
            entry for entry in vfbroker_json("leases")["leases"] if entry["uid"] == ALICE])[0]
        nodes = [node for node in pathlib.Path("/dev/vfio").glob("[0-9]*")
                 if node.stat().st_uid == ALICE]
        self.assertEqual(len(nodes), 1)
        return process, nodes[0], lease

    def vlan_of(self, index):
        return machine.kernel_attributes(index).get("vlan_list", [{}])[0].get("vlan", 0)

    def index_of(self, lease):
        address = lease["functions"][0]["address"]
        return next(i for i in range(4) if machine.vf_address(i) == address)

    def restart_with(self, make, process):
        """The daemon dies, then the owner of a node; the next one finds what `make` makes."""
        self.daemon.stop(machine.signal.SIGKILL)
        process.stdin.close()
        process.wait(machine.LONG)
        make()
        self.daemon.start()

    def test_the_last_good_one_goes_on(self):
        kept = vfbroker_json("lease", "guests", "--guest", "web", "--vlan", "7")["lease"]
        process, node, lease = self.lend_node()
        index = self.index_of(lease)
        self.assertEqual(self.vlan_of(index), 5)
        self.restart_with(lambda: write("vfbroker.toml", GOOD.replace("vfs = 4", "num_vfs = 4")),
                          process)
        self.assertEqual(node.stat().st_uid, 0)
        self.wait_for_clean(3)
        self.assertEqual(self.vlan_of(index), 0)
        text = vfbroker("status").stdout
        self.assertTrue(text.startswith("configuration: wrong; the last good one of this boot is"),
                        text)
        self.assertEqual([entry["id"] for entry in vfbroker_json("leases")["leases"]], [kept["id"]])
        # It leases as ever.
        run("vfbroker", "run", "guests", "--", "true", "{}", uid=ALICE)
        vfbroker("plan", status=1)
        vfbroker("apply", "--yes", status=1)
        right_again()
        vfbroker("reload")
        self.assertTrue(vfbroker("status").stdout.startswith("vfbrokerd "))

    def test_without_one_that_is_good(self):
        kept = vfbroker_json("lease", "guests", "--guest", "web", "--vlan", "7")["lease"]
        process, node, lease = self.lend_node()
        index = self.index_of(lease)
        kept_index = self.index_of(kept)
        groups = pathlib.Path("/etc/group")
        before = groups.read_text(encoding="utf-8")
        self.addCleanup(groups.write_text, before)
        # What was good names a group that is no more.
        self.restart_with(
            lambda: groups.write_text(re.sub("^tenants:.*\n", "", before, flags=re.MULTILINE)),
            process)
        self.assertTrue(vfbroker("status").stdout.startswith("configuration: wrong; no pool"))
        self.assertEqual(node.stat().st_uid, 0)
        wait_for("it is scrubbed", lambda: self.vlan_of(index) == 0)
        self.assertEqual([entry["id"] for entry in vfbroker_json("leases")["leases"]], [kept["id"]])
        self.assertEqual(self.vlan_of(kept_index), 7)
        vfbroker("release", kept["id"])
        wait_for("it is scrubbed", lambda: self.vlan_of(kept_index) == 0)
        # Nobody knows whether the PF is to go back.
        self.assertEqual(vfs_of_card(), "4")
        groups.write_text(before, encoding="utf-8")
        vfbroker("reload")
        self.wait_for_clean(4)


class Impossible(machine.Test):
    """What the card (an igb with at most 7 VFs) cannot do."""
    CASES = {
        "vfs": (GOOD.replace("vfs = 4", "vfs = 16"), "create 16 VFs on 0000:01:00.0: it can have "
                "at most 7", 4),
        "mtu": (GOOD.replace("vfs = 4", "vfs = 4\nmtu = 60000"), "set the MTU of 0000:01:00.0 to "
                "60000: its driver takes", 5),
        "driver": (GOOD + "driver = 'vfio_pci'\n", "bind VFs of 0000:01:00.0 to vfio_pci: the kernel "
                   "has no such driver", 11),
        "switch": (GOOD.replace("vfs = 4", "vfs = 4\neswitch_mode = 'switchdev'"),
                   "set the switch of 0000:01:00.0 to switchdev mode: its driver has none that can "
                   "be chosen", 5),
        "attribute": (GOOD + "[pool.guests.attributes]\nlink_state = 'enable'\n",
                      "give VFs of 0000:01:00.0 link_state enable: the driver of their physical "
                      "function does not have that", 12),
    }

    def setUp(self):
        right_again()
        super().setUp()
        self.wait_for_clean(4)
        self.addCleanup(right_again)

    def uplink(self):
        return vfbroker_json("status")["physicalFunctions"][0]

    def test_it_is_refused_before_anything_is_touched(self):
        generation = self.daemon.log().count(" is clean")
        for kind, (text, says, line) in self.CASES.items():
            with self.subTest(kind):
                self.daemon.configure(text)
                checked = vfbroker("check", status=1).stdout
                self.assertRegex(checked, rf"vfbroker\.toml:{line}:\d+: cannot {says}")
                planned = vfbroker("plan", status=2).stdout
                self.assertIn(f"! cannot {says}", planned)
                self.assertIn("0 to add, 0 to change, 0 to remove, 1 that this machine cannot do",
                              planned)
                applied = vfbroker("apply", "--yes", status=1).stdout
                self.assertIn("Not everything could be applied", applied)
                self.assertIn(says, vfbroker("reload").stdout)
                shown = self.uplink()
                self.assertEqual(shown["state"], "differs")
                self.assertIn(says, shown["problem"])
                # What it has goes on, and nothing was done to it.
                self.assertEqual(vfs_of_card(), "4")
                run("vfbroker", "show", machine.vf_address(0))
                self.assertEqual(self.pool()["clean"], 4)
        self.assertEqual(self.daemon.log().count(" is clean"), generation)
        self.daemon.configure(GOOD)
        self.assertEqual(vfbroker("reload").stdout, "")
        self.assertEqual(self.uplink()["state"], "ready")
        vfbroker("plan")

    def test_at_a_start_too(self):
        for kind, (text, says, _) in self.CASES.items():
            with self.subTest(kind):
                self.daemon.stop()
                self.daemon.configure(text)
                self.daemon.start()
                self.assertIn(says, self.uplink()["problem"])
                self.assertEqual(self.uplink()["state"], "differs")
        self.daemon.stop()
        shutil.rmtree("/run/vfbroker")
        pathlib.Path(f"/sys/bus/pci/devices/{PF}/sriov_numvfs").write_text("0")
        for kind, (text, says, _) in self.CASES.items():
            with self.subTest("without VFs: " + kind):
                self.daemon.configure(text)
                self.daemon.start()
                self.assertEqual(self.uplink()["state"], "failed")
                self.assertIn(says, self.uplink()["problem"])
                # What a driver has for VFs it says when there are some.
                self.assertEqual(vfs_of_card(), "4" if kind == "attribute" else "0")
                self.assertEqual(self.pool()["clean"], 0)
                self.assertIn(f"! cannot {says}", vfbroker("plan", status=2).stdout)
                self.daemon.stop()
        self.daemon.configure(GOOD)
        self.daemon.start()
        self.wait_for_clean(4)

    def test_a_reload_says_what_it_does_not_do(self):
        self.daemon.configure(GOOD.replace("vfs = 4", "vfs = 6"))
        said = vfbroker("reload").stdout
        self.assertIn("remove its 4 VFs and create 6", said)
        self.assertIn("hint: vfbroker apply does the rest of it", said)
        self.assertEqual(vfs_of_card(), "4")
        vfbroker("apply", "--yes")
        self.assertEqual(vfs_of_card(), "6")
        self.assertEqual(vfbroker("reload").stdout, "")
        lease = vfbroker_json("lease", "guests", "--guest", "web")["lease"]
        self.daemon.configure("")
        self.assertIn(f"when lease {lease['id']} (guest web, ", vfbroker("reload").stdout)
        vfbroker("release", lease["id"])
        wait_for("it goes back", lambda: vfs_of_card() == "0")


if __name__ == "__main__":
    unittest.main(verbosity=2)
