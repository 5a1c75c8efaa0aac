# SPDX-License-Identifier: GPL-2.0-or-later
"""Containers get VFs by the Container Network Interface: vfbroker-cni, called as a container runtime
calls it, and by podman."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import unittest

import machine
from machine import netdev_of, run, vfbroker_json, wait_for

PLUGINS = "/usr/lib/cni"
PLUGIN = f"{PLUGINS}/vfbroker-cni"
VFS = 7

CONFIG = """
[pf.uplink]
address = "0000:01:00.0"
vfs = 7

[pool.guests]
pf = "uplink"
tenant_may_set = ["mac", "vlan", "qos", "max_tx_rate"]

[pool.guests.tenant_limits]
vlan = ["5-9"]
"""

# An IPAM plugin that says what it was asked for, and that hangs if it is told to.
IPAM = """#!/bin/sh
echo "$CNI_COMMAND" >>/tmp/ipam.log
cat >/tmp/ipam.in
if [ "$CNI_COMMAND" = ADD ]; then
    if [ -e /tmp/ipam.hang ]; then
        echo $$ >/tmp/ipam.pid.new
        mv /tmp/ipam.pid.new /tmp/ipam.pid
        exec sleep 1000
    fi
    [ ! -e /tmp/ipam.fail ] ||
        { echo '{"code": 42, "msg": "no address is left", "details": "ask for fewer"}'; exit 1; }
    echo '{"cniVersion": "1.1.0", "ips": [{"address": "10.0.0.9/24", "gateway": "10.0.0.1"}],
           "routes": [{"dst": "0.0.0.0/0"},
                      {"dst": "10.7.0.0/16", "scope": 253, "priority": 50, "mtu": 1400}],
           "dns": {"nameservers": ["10.0.0.1"]}}'
fi
"""


def network(version="1.0.0", name="vfnet", ipam="host-local", **fields):
    config = {"cniVersion": version, "name": name, "type": "vfbroker-cni", "pool": "guests", **fields}
    if ipam == "host-local":
        config["ipam"] = {"type": ipam, "dataDir": "/tmp/ipam",
                          "ranges": [[{"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.10",
                                       "gateway": "10.0.0.1"}]],
                          "routes": [{"dst": "0.0.0.0/0"}]}
    elif ipam:
        config["ipam"] = {"type": ipam}
    return config


def start(command, config, container="c1", netns="", ifname="eth0", args=""):
    """The plugin, as a runtime starts it."""
    environment = {"PATH": os.environ["PATH"], "CNI_COMMAND": command, "CNI_CONTAINERID": container,
                   "CNI_NETNS": netns, "CNI_IFNAME": ifname, "CNI_PATH": f"/tmp/cni:{PLUGINS}",
                   "CNI_ARGS": args}
    process = subprocess.Popen([PLUGIN], env={k: v for k, v in environment.items() if v},
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write(config if isinstance(config, str) else json.dumps(config))
    process.stdin.close()
    process.stdin = None
    return process


def call(*arguments, **options):
    """Exit status and what was printed, as JSON; None if nothing was."""
    process = start(*arguments, **options)
    out, _ = process.communicate(timeout=machine.LONG)
    return process.returncode, json.loads(out) if out else None


def succeed(*arguments, **options):
    status, said = call(*arguments, **options)
    if status != 0:
        raise AssertionError(f"{arguments[0]}: {said}")
    return said


class Cni(machine.Test):
    config = CONFIG
    vfs = VFS

    def setUp(self):
        super().setUp()
        self.wait_for_clean(VFS)
        folder = pathlib.Path("/tmp/cni")
        folder.mkdir(exist_ok=True)
        (folder / "stub-ipam").write_text(IPAM, encoding="utf-8")
        (folder / "stub-ipam").chmod(0o755)
        for name in ("ipam.log", "ipam.hang", "ipam.fail", "ipam.pid"):
            pathlib.Path("/tmp", name).unlink(missing_ok=True)
        shutil.rmtree("/tmp/ipam", ignore_errors=True)
        run("ip", "address", "replace", "10.0.0.1/24", "dev", netdev_of())
        self.addCleanup(run, "ip", "address", "flush", "dev", netdev_of(), status=None)

    def namespace(self, name):
        run("ip", "netns", "add", name)
        self.addCleanup(run, "ip", "netns", "delete", name, status=None)
        return f"/run/netns/{name}"

    def links(self, name):
        """Network interfaces in that namespace, by their names, but those that the kernel puts into each."""
        out = run("ip", "-n", name, "-j", "address", "show").stdout
        return {link["ifname"]: link for link in json.loads(out) if link["link_type"] == "ether"}

    def leases(self):
        return vfbroker_json("leases")["leases"]

    def all_back(self):
        """Every VF is clean, none is leased, and the host has the interfaces that it had."""
        self.wait_for_clean(VFS)
        self.assertEqual(self.leases(), [])
        for index in range(VFS):
            self.assertEqual(machine.driver_of(machine.vf_address(index)), "vfio-pci")
            self.assertEqual(machine.kernel_attributes(index).get("vlan_list", [{}])[0].get("vlan", 0), 0)

    def test_add_check_del(self):
        asked = succeed("VERSION", {"cniVersion": "1.0.0"})
        self.assertEqual(asked["cniVersion"], "1.0.0")
        self.assertIn("1.1.0", asked["supportedVersions"])
        succeed("STATUS", network("1.1.0", ipam=None))

        netns = self.namespace("first")
        config = network(max_tx_rate=0, runtimeConfig={"mac": "02:00:00:00:00:77"},
                         mac="02:00:00:00:00:78", mtu=1400)
        result = succeed("ADD", config, netns=netns)
        self.assertEqual(result["cniVersion"], "1.0.0")
        self.assertEqual(result["interfaces"], [{"name": "eth0", "mac": "02:00:00:00:00:77",
                                                 "sandbox": netns}])
        self.assertEqual([(ip["address"], ip["interface"]) for ip in result["ips"]],
                         [("10.0.0.10/24", 0)])
        link = self.links("first")["eth0"]
        self.assertEqual((link["address"], link["mtu"]), ("02:00:00:00:00:77", 1400))
        self.assertIn("UP", link["flags"])
        self.assertIn("default via 10.0.0.1 dev eth0",
                      run("ip", "-n", "first", "route", "show").stdout)
        run("ip", "netns", "exec", "first", "ping", "-c", "3", "-W", "5", "-i", "0.2", "10.0.0.1")
        lease, = self.leases()
        self.assertEqual((lease["owner"], lease["guest"], lease["handOff"]),
                         ("guest", "cni/vfnet/c1/eth0", "netdev"))
        function = lease["functions"][0]
        self.assertEqual(machine.driver_of(function["address"]), "igbvf")
        self.assertEqual(function["attributes"]["mac"], "02:00:00:00:00:77")

        # A second ADD is refused, and takes nothing from the first.
        status, refused = call("ADD", config, netns=netns)
        self.assertEqual((status, refused["code"]), (1, 105), refused)
        self.assertIn("DEL", refused["details"])

        checked = {**config, "prevResult": result}
        self.assertIsNone(succeed("CHECK", checked, netns=netns))
        # A crash of the daemon is none of the container's business.
        self.daemon.stop(signal.SIGKILL)
        self.daemon.start()
        self.assertIsNone(succeed("CHECK", checked, netns=netns))
        run("ip", "netns", "exec", "first", "ping", "-c", "1", "-W", "5", "10.0.0.1")
        run("ip", "-n", "first", "address", "flush", "dev", "eth0")
        status, wrong = call("CHECK", checked, netns=netns)
        self.assertEqual(status, 1)
        self.assertIn("10.0.0.10/24", wrong["msg"])

        succeed("DEL", checked, netns=netns)
        wait_for("the interface has gone", lambda: not self.links("first"))
        succeed("DEL", checked, netns=netns)
        self.assertFalse([p for p in pathlib.Path("/tmp/ipam/vfnet").iterdir()
                          if p.name.startswith("10.")])
        status, wrong = call("CHECK", checked, netns=netns)
        self.assertEqual((status, wrong["code"]), (1, 104), wrong)
        self.all_back()

    def test_newest_version_and_garbage(self):
        netns = self.namespace("first")
        config = network("1.1.0", ipam="stub-ipam")
        result = succeed("ADD", config, netns=netns, args="IgnoreUnknown=1;MAC=02:00:00:00:00:99")
        interface = result["interfaces"][0]
        self.assertEqual(interface["mac"], "02:00:00:00:00:99")
        self.assertEqual(interface["pciID"], self.leases()[0]["functions"][0]["address"])
        self.assertEqual(interface["mtu"], 1500)
        self.assertEqual(result["dns"], {"nameservers": ["10.0.0.1"]})
        self.assertEqual(result["routes"][1],
                         {"dst": "10.7.0.0/16", "scope": 253, "priority": 50, "mtu": 1400})
        self.assertRegex(run("ip", "-n", "first", "route", "show").stdout,
                         r"10\.7\.0\.0/16 dev eth0 proto static scope link metric 50 mtu 1400")
        # Without its namespace, and with nothing known of the past.
        second = self.namespace("second")
        dns = {"nameservers": ["10.0.0.53"]}
        said = succeed("ADD", network(ipam=None, dns=dns), container="c2", netns=second, ifname="net1")
        self.assertEqual(said["dns"], dns)
        third = self.namespace("third")
        succeed("ADD", network(ipam=None), container="c3", netns=third)
        other = self.namespace("other")
        succeed("ADD", network(name="another", ipam=None), container="c4", netns=other)
        succeed("DEL", network(ipam=None), container="c2", ifname="net1")
        wait_for("the interface has gone", lambda: not self.links("second"))

        valid = {**config, "cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth0"}]}
        succeed("GC", valid)
        # Only what is of this network and not valid any more.
        self.assertEqual({lease["guest"] for lease in self.leases()},
                         {"cni/vfnet/c1/eth0", "cni/another/c4/eth0"})
        self.assertTrue(self.links("first"))
        wait_for("the interface has gone", lambda: not self.links("third"))
        succeed("STATUS", config)
        succeed("CHECK", {**config, "prevResult": result}, netns=netns)
        succeed("DEL", config, netns=netns)
        succeed("GC", {**network("1.1.0", "another", None), "cni.dev/valid-attachments": []})
        self.assertEqual(pathlib.Path("/tmp/ipam.log").read_text().split(),
                         ["ADD", "GC", "STATUS", "CHECK", "DEL"])
        self.all_back()

    def test_garbage_when_nothing_is_valid(self):
        for name, container in (("vfnet", "c1"), ("vfnet", "c2"), ("another", "c3")):
            succeed("ADD", network(name=name, ipam=None), container=container,
                    netns=self.namespace(container))
        # No list at all could as well be one that was lost.
        status, refused = call("GC", network("1.1.0", ipam=None))
        self.assertEqual((status, refused["code"]), (1, 7), refused)
        self.assertEqual(len(self.leases()), 3)
        # What libcni makes of an empty list.
        succeed("GC", {**network("1.1.0", ipam=None), "cni.dev/valid-attachments": None})
        self.assertEqual([lease["guest"] for lease in self.leases()], ["cni/another/c3/eth0"])
        self.assertTrue(self.links("c3"))
        succeed("DEL", network(name="another", ipam=None), container="c3")
        self.all_back()

    def test_the_namespace_ends_first(self):
        netns = self.namespace("first")
        succeed("ADD", network(), netns=netns)
        address = self.leases()[0]["functions"][0]["address"]
        # The VF comes back to the host under another name: eth0 is the physical function's there.
        run("ip", "netns", "delete", "first")
        self.daemon.wait_for_log("ended: its network interface came back")
        self.all_back()
        succeed("DEL", network())
        # The same while nobody looks.
        netns = self.namespace("first")
        succeed("ADD", network(), netns=netns)
        self.daemon.stop(signal.SIGKILL)
        run("ip", "netns", "delete", "first")
        wait_for("the interface is the host's", lambda: any(
            path.exists() and list(path.iterdir()) for path in
            [pathlib.Path(f"/sys/bus/pci/devices/{machine.vf_address(i)}/net") for i in range(VFS)]))
        self.daemon.start()
        self.all_back()
        self.assertIsNotNone(address)
        succeed("DEL", network())

    def test_a_killed_plugin_leaves_nothing(self):
        netns = self.namespace("first")
        # With the interface in the namespace, and the lease not yet the container's.
        pathlib.Path("/tmp/ipam.hang").touch()
        plugin = start("ADD", network(ipam="stub-ipam"), netns=netns)
        pid = int(wait_for("the IPAM plugin hangs", lambda: pathlib.Path("/tmp/ipam.pid").exists() and
                           pathlib.Path("/tmp/ipam.pid").read_text()))
        self.assertEqual(list(self.links("first")), ["eth0"])
        plugin.kill()
        plugin.communicate()
        self.all_back()
        self.assertFalse(self.links("first"))
        os.kill(pid, signal.SIGKILL)
        pathlib.Path("/tmp/ipam.hang").unlink()
        # And at any other: what was printed in time is an attachment, everything else none.
        began = time.monotonic()
        succeed("ADD", network(ipam=None), netns=netns)
        whole = time.monotonic() - began
        succeed("DEL", network(ipam=None), netns=netns)
        for part in range(1, 9):
            with self.subTest(part=part):
                self.wait_for_clean(VFS)
                wait_for("the interface has gone", lambda: not self.links("first"))
                plugin = start("ADD", network(ipam=None), netns=netns)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    plugin.wait(whole * part / 8)
                plugin.kill()
                plugin.communicate()
                # What a runtime does after an ADD that it heard nothing of.
                succeed("DEL", network(ipam=None), netns=netns)
                self.all_back()
        # An IPAM plugin that fails is quoted, and the VF goes back.
        pathlib.Path("/tmp/ipam.fail").touch()
        status, refused = call("ADD", network(ipam="stub-ipam"), netns=netns)
        self.assertEqual((status, refused["code"], refused["details"]), (1, 42, "ask for fewer"))
        self.assertIn("no address is left", refused["msg"])
        self.all_back()

    def test_twenty_at_once(self):
        spaces = [self.namespace(f"many{i}") for i in range(20)]
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            done = list(pool.map(lambda i: call("ADD", network(wait=1), container=f"many{i}",
                                                netns=spaces[i]), range(20)))
        good = [i for i in range(20) if done[i][0] == 0]
        self.assertEqual(len(good), VFS, done)
        for i in set(range(20)) - set(good):
            self.assertEqual(done[i][1]["code"], 11, done[i])
            self.assertIn("7 leased", done[i][1]["msg"])
            self.assertTrue(done[i][1]["details"])
            self.assertFalse(self.links(f"many{i}"))
        macs = {done[i][1]["interfaces"][0]["mac"] for i in good}
        self.assertEqual(len(macs), VFS)
        self.assertEqual(len({done[i][1]["ips"][0]["address"] for i in good}), VFS)
        for i in good:
            self.assertEqual(list(self.links(f"many{i}")), ["eth0"])
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            done = list(pool.map(lambda i: call("DEL", network(), container=f"many{i}",
                                                netns=spaces[i]), range(20)))
        self.assertEqual([status for status, _ in done], [0] * 20, done)
        self.all_back()

    def test_refusals(self):
        netns = self.namespace("first")

        def refused(code, word, config, command="ADD", **options):
            status, said = call(command, config, **{"netns": netns, **options})
            self.assertEqual(status, 1, said)
            self.assertEqual(said["code"], code, said)
            self.assertIn(word, said["msg"])
            self.assertTrue(said["details"], said)
            self.assertIn("cniVersion", said)

        refused(104, "there is no such pool", network(ipam=None, pool="gests"))
        refused(103, "trust", network(ipam=None, trust=True))
        refused(103, "100 is not among", network(ipam=None, vlan=100))
        refused(7, "MAC", network(ipam=None, mac="02:00"))
        refused(7, "`vlan`", network(ipam=None, vlan="5"))
        refused(2, "`vlna`", network(ipam=None, vlna=5))
        refused(2, "`ipMasq`", network(ipam=None, ipMasq=True))
        refused(1, "9.9.9", network("9.9.9", ipam=None))
        refused(6, "JSON", "{", netns=netns)
        refused(4, "CNI_COMMAND", network(), command="FROB")
        refused(4, "CNI_NETNS", network(), netns="")
        refused(4, "CNI_IFNAME", network(), ifname="a/b")
        refused(4, "that of the host", network(ipam=None), netns="/proc/self/ns/net")
        refused(7, "is not a network namespace", network(ipam=None), netns="/etc/passwd")
        refused(4, "no-such-ipam", network(ipam="no-such-ipam"))
        # The name is taken.
        wait_for("the interface has gone", lambda: not self.links("first"))
        run("ip", "-n", "first", "link", "add", "eth0", "type", "veth", "peer", "name", "other")
        refused(11, "move a network interface", network(ipam=None))
        run("ip", "-n", "first", "link", "delete", "eth0")
        refused(50, "no pool", network("1.1.0", ipam=None, pool="gests"), command="STATUS")
        self.all_back()
        self.daemon.stop()
        refused(11, "vfbrokerd", network(ipam=None))
        refused(50, "vfbrokerd", network("1.1.0", ipam=None), command="STATUS")
        refused(11, "vfbrokerd", network(ipam=None), command="DEL")
        self.daemon.start()
        # Somebody who is not root gets no network interface of the host's.
        peer = machine.Peer(machine.ALICE)
        self.assertEqual(peer.call("Lease", pool="guests", handOff="netdev")["parameters"]["code"],
                         "denied")
        peer.close()

    def test_podman(self):
        root = pathlib.Path("/tmp/rootfs")
        for name in ("bin", "proc", "sys", "dev", "etc", "run", "tmp", "var"):
            (root / name).mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/busybox", root / "bin/busybox")
        pathlib.Path("/etc/cni/net.d").mkdir(parents=True, exist_ok=True)
        plugin = {**network(), "capabilities": {"mac": True}}
        del plugin["cniVersion"], plugin["name"]
        pathlib.Path("/etc/cni/net.d/10-vfnet.conflist").write_text(json.dumps(
            {"cniVersion": "0.4.0", "name": "vfnet", "plugins": [plugin]}), encoding="utf-8")
        pathlib.Path("/tmp/containers.conf").write_text(
            '[network]\nnetwork_backend = "cni"\ncni_plugin_dirs = ["/usr/lib/cni"]\n'
            'network_config_dir = "/etc/cni/net.d"\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n', encoding="utf-8")
        environment = {**os.environ, "CONTAINERS_CONF": "/tmp/containers.conf"}
        podman = ["podman", "--root", "/tmp/podman", "--runroot", "/tmp/podman-run",
                  "--storage-driver", "vfs"]
        options = ["--cgroups=disabled", "--security-opt", "seccomp=unconfined", "--log-driver=none",
                   "--network", "vfnet", "--rootfs", root]
        said = run(*podman, "run", "--rm", "--mac-address", "02:00:00:00:00:55", *options,
                   "/bin/busybox", "sh", "-c",
                   "/bin/busybox ping -c 2 10.0.0.1 && /bin/busybox ip link show eth0",
                   env=environment).stdout
        self.assertIn("02:00:00:00:00:55", said)
        self.all_back()
        # What podman shows when it is refused.
        (self.daemon.config / "vfbroker.toml").write_text(CONFIG.replace("guests", "others"))
        run("vfbroker", "reload")
        refused = run(*podman, "run", "--rm", *options, "/bin/busybox", "true", env=environment,
                      status=None)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("there is no such pool", refused.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
