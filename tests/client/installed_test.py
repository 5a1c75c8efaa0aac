# SPDX-License-Identifier: GPL-2.0-or-later
"""What is installed is enough to build with: the examples are compiled against an installation, by
pkg-config and by CMake, run against a fake broker, and the library is loaded by its symbols' versions.

installed_test.py BUILD FAKE_BROKER LIBDIR: folder of the build, program, folder of libraries below
the prefix."""
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

BUILD, FAKE_BROKER, LIBDIR = sys.argv.pop(1), sys.argv.pop(1), sys.argv.pop(1)
TIMEOUT = 60


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=TIMEOUT, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Broker:
    """The fake broker; at the end of the block `calls` are the methods that were called."""

    def __enter__(self):
        self.process = subprocess.Popen([FAKE_BROKER], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.socket = self.process.stdout.readline().strip()
        self.calls = None
        return self

    def __exit__(self, *_):
        out, _ = self.process.communicate(timeout=TIMEOUT)
        self.calls = [line.removeprefix("io.vfbroker.") for line in out.split()]


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="vfbroker-installed-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        prefix = cls.folder / "prefix"
        run("cmake", "--install", BUILD, "--prefix", prefix)
        cls.libraries = prefix / LIBDIR
        cls.examples = prefix / "share/doc/vfbroker/examples"
        cls.environment = {**os.environ, "LD_LIBRARY_PATH": str(cls.libraries),
                           "PKG_CONFIG_PATH": str(cls.libraries / "pkgconfig")}
        flags = run("pkg-config", "--cflags", "--libs", "vfbroker", env=cls.environment).split()
        assert flags, "pkg-config knows no flags"
        cls.lease = cls.folder / "lease"
        run(os.environ.get("CC", "cc"), "-std=c11", "-Wall", "-Wextra", "-Werror",
            cls.examples / "lease.c", *flags, "-o", cls.lease)
        build = cls.folder / "build"
        run("cmake", "-S", cls.examples, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}",
            "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror")
        run("cmake", "--build", build)
        cls.event_loop = build / "event_loop"
        found = (build / "CMakeCache.txt").read_text(encoding="utf-8")
        assert f"vfbroker_DIR:PATH={cls.libraries}/cmake/vfbroker" in found, found

    def example(self, program, pool, end=False):
        """What the example says; the broker's calls. `end`: with SIGTERM once it has the lease."""
        with Broker() as broker:
            process = subprocess.Popen([program, pool, broker.socket], env=self.environment,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            said = ""
            while end and not said.count("descriptor") == 3:
                said += process.stdout.readline()
            if end:
                process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=TIMEOUT)
        return process.returncode, (said + out).splitlines(), err, broker.calls

    def check_lease(self, said):
        self.assertEqual(said[0], "lease 7")
        self.assertRegex(said[1], r"^descriptor \d+: iommufd$")
        self.assertRegex(said[2], r"^descriptor \d+: cdev of 0000:01:10\.0$")
        self.assertRegex(said[3], r"^descriptor \d+: cdev of 0000:01:10\.2$")

    def test_c_with_pkg_config(self):
        for pool, event in (("lost", "lost 0000:01:10.0"), ("wanted", "wanted: pf:uplink is drained")):
            status, said, err, calls = self.example(self.lease, pool)
            self.assertEqual((status, err), (0, ""))
            self.check_lease(said)
            self.assertEqual(said[4:], [event, "released"])
            self.assertEqual(calls, ["Lease", "WatchLeases", "Release"])

    def test_c_what_others_end_is_not_given_back(self):
        status, said, err, calls = self.example(self.lease, "ended")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(said[4:], ["ended: released by uid 0"])
        self.assertEqual(calls, ["Lease", "WatchLeases"])

    def test_c_refused(self):
        status, said, err, _ = self.example(self.lease, "full")
        self.assertEqual((status, said), (1, []))
        self.assertEqual(err, "lease: cannot lease from net: all 7 functions are leased\n"
                              "hint: vfbroker leases\n")

    def test_cpp_with_cmake(self):
        status, said, err, calls = self.example(self.event_loop, "wanted")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(said[0], "started")
        self.check_lease(said[1:])
        self.assertEqual(said[5:], ["wanted: pf:uplink is drained", "released"])
        self.assertEqual(calls, ["Lease", "WatchLeases", "Release"])

    def test_cpp_told_to_end(self):
        status, said, err, calls = self.example(self.event_loop, "net", end=True)
        self.assertEqual((status, err), (0, ""))
        self.check_lease(said[1:])
        self.assertEqual(said[5:], ["released"])
        # The call over the other connection may come after it, or be too late.
        self.assertIn("Release", calls)

    def test_cpp_refused(self):
        status, said, err, _ = self.example(self.event_loop, "full")
        self.assertEqual((status, said), (1, ["started"]))
        self.assertIn("all 7 functions are leased\nhint: vfbroker leases\n", err)

    def test_loaded_by_versioned_symbols(self):
        library = ctypes.CDLL(str(self.libraries / "libvfbroker.so.1"))
        dlvsym = ctypes.CDLL(None).dlvsym
        dlvsym.restype = ctypes.c_void_p
        dlvsym.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
        # pylint: disable=protected-access
        found = dlvsym(library._handle, b"vfb_version", b"VFB_0.1")
        self.assertIsNotNone(found)
        self.assertEqual(ctypes.CFUNCTYPE(ctypes.c_char_p)(found)(), b"0.1.0")
        self.assertIsNone(dlvsym(library._handle, b"vfb_version", b"VFB_9"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
