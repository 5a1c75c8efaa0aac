# SPDX-License-Identifier: GPL-2.0-or-later
"""start_guest of scripts and of Python, with programs for VMMs: needs no machine."""
import pathlib
import re
import subprocess
import tempfile
import unittest

import machine

BASH = """set -euo pipefail
. {here}/start-guest
VFB_BOOT_DEADLINE=2
free() {{ echo "free again"; }}
vmm() {{ {script}
}}
start_guest web {console} free vmm"""

# What a VMM does, by its first try and its later ones; $1 is a file that counts.
BOOTS = 'echo; echo "GUEST boots"'
FIRST = 'echo >>$tries; if [ $(wc -l <$tries) = 1 ]; then {first}; else {later}; fi'
STANDS = "exec tail -f $tries"


class Program(machine.Vmm):
    def wait_until_free(self):
        print("free again", flush=True)


class WaitFor(unittest.TestCase):
    def test_a_line_that_is_on_its_way_is_waited_for(self):
        vmm = Program("vfb-wait-for", 0, ["bash", "-c", "printf 'GUEST nic driver=i'; sleep 0.5; "
                                                        "echo gbvf; exec tail -f /dev/null"])
        vmm.start()
        self.addCleanup(vmm.kill)
        self.assertEqual(vmm.wait_for(r"driver=(\S+)").group(1), "igbvf")


class StartGuest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def script(self, first, later):
        self.tries = self.folder / "tries"
        self.tries.write_text("")
        return f"tries={self.tries}; " + FIRST.format(first=first, later=later)

    def started(self):
        return self.tries.read_text().count("\n")

    def by_bash(self, first, later):
        """Its exit status, and what it said."""
        console = self.folder / "console"
        done = subprocess.run(["bash", "-c", BASH.format(
            here=pathlib.Path(__file__).parent, console=console,
            script=f"bash -c '{self.script(first, later)}' >{console}")],
            capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr

    def by_python(self, first, later):
        """The same; when start_guest raises, it is that of the VMM, or else 1."""
        code = ("import sys; sys.path.insert(0, sys.argv[1]); import test_start_guest as t\n"
                "vmm = t.Program('vfb-start-guest', 0, ['bash', '-c', sys.argv[2]])\n"
                "try:\n"
                "    t.machine.start_guest(vmm, 2)\n"
                "    sys.exit(vmm.process.wait(20))\n"
                "except AssertionError as error:\n"
                "    print(error)\n"
                "    sys.exit(vmm.process.wait(20) or 1)\n"
                "finally:\n"
                "    vmm.kill()\n")
        done = subprocess.run(["python3", "-c", code, pathlib.Path(__file__).parent,
                               self.script(first, later)],
                              capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    def check(self, first, later, status, started, *said):
        for way in (self.by_bash, self.by_python):
            with self.subTest(way.__name__):
                got, text = way(first, later)
                self.assertEqual((got, self.started()), (status, started), text)
                if started == 1:
                    self.assertNotIn("again", text)
                else:
                    self.assertIn("is started again", text)
                    self.assertEqual(len(re.findall("free again", text)), 1, text)
                for words in said:
                    self.assertRegex(text, words)

    def test_one_that_boots_is_left_alone(self):
        self.check(BOOTS, STANDS, 0, 1)

    def test_its_end_after_the_first_line_is_its_end(self):
        self.check(f"{BOOTS}; exit 3", BOOTS, 3, 1)

    def test_one_that_stands_still_after_the_first_line_is_left_alone(self):
        self.check(f"{BOOTS}; sleep 3; exit 4", BOOTS, 4, 1)

    def test_one_that_ends_before_it_is_started_again(self):
        self.check("exit 0", f"{BOOTS}; exit 5", 5, 2, "guest .* ended before its first line")

    def test_one_that_stands_still_before_it_is_started_again(self):
        self.check(f"echo; {STANDS}", f"{BOOTS}; exit 5", 5, 2,
                   "guest .* stood still for 2 s before its first line")
        # And nothing of the first is left.
        self.assertEqual(subprocess.run(["pgrep", "-f", str(self.folder)], check=False,
                                        stdout=subprocess.DEVNULL).returncode, 1)

    def test_an_error_of_the_vmm_is_an_error(self):
        self.check("exit 2", BOOTS, 2, 1)

    def test_a_second_time_is_an_error(self):
        self.check("exit 0", "exit 0", 1, 2, "guest .* before its first line, for the second time")


if __name__ == "__main__":
    unittest.main(verbosity=2)
