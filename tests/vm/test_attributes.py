# SPDX-License-Identifier: GPL-2.0-or-later
"""Every attribute from the request to the kernel and back; what a driver does not have, a pool does
not allow or somebody else has is refused, and says so."""
import json
import pathlib
import unittest

import machine
from machine import ALICE, PF, kernel_attributes, netdev_of, run, vf_address, vfbroker, wait_for

# VF 3 is nobody's: it stands for one that another program has.
CONFIG = """
[pf.uplink]
address = "0000:01:00.0"
vfs = 4
{pf}

[pool.guests]
pf = "uplink"
vfs = "0-2"
allow_groups = ["tenants"]
tenant_may_set = ["mac", "vlan", "qos", "max_tx_rate", "trust", "spoof_check", "rss_query"]
{guests}

[pool.guests.tenant_limits]
mac = "02:00:00:*"
vlan = ["100-199", 300]
max_tx_rate = 500
trust = false
"""


def link(name=None):
    return json.loads(run("ip", "-j", "link", "show", "dev", name or netdev_of()).stdout)[0]


class Attributes(machine.Test):
    config = CONFIG.format(pf="mtu = 2000", guests="")
    vfs = 3

    def setUp(self):
        # As it would be found after a boot.
        run("ip", "link", "set", netdev_of(), "mtu", "1500")
        super().setUp()

    def lease(self, *options, uid=0):
        out = vfbroker("lease", "guests", *options, "--json", uid=uid).stdout
        return json.loads(out)["lease"]

    def release(self, lease):
        vfbroker("release", lease["id"])
        self.wait_for_clean(self.vfs)

    def refused(self, *options, status, says, uid=0):
        done = vfbroker("lease", "guests", *options, uid=uid, status=status)
        self.assertIn(says, done.stderr)
        self.wait_for_clean(self.vfs)

    def reload(self, **parts):
        self.daemon.configure(CONFIG.format(**{"pf": "", "guests": "", **parts}))
        vfbroker("reload")

    def kernel(self, index):
        """What the kernel says of a VF, in our words."""
        said = kernel_attributes(index)
        return {"mac": said["address"], "vlan": said["vlan_list"][0].get("vlan", 0),
                "qos": said["vlan_list"][0].get("qos", 0), "trust": said["trust"],
                "spoof_check": said["spoofchk"], "max_tx_rate": said["rate"]["max_tx"]}

    def test_set_and_restored(self):
        self.wait_for_clean(self.vfs)
        self.assertEqual(link()["mtu"], 2000)
        carrier = pathlib.Path(f"/sys/class/net/{netdev_of()}/carrier")
        wait_for("the PF has a link, without which igb takes no rate",
                 lambda: carrier.read_text().strip() == "1")
        fresh = [self.kernel(index) for index in range(self.vfs)]
        self.assertEqual(len({vf["mac"] for vf in fresh}), self.vfs)
        lease = self.lease("--mac", "02:00:00:00:00:07", "--vlan", "9", "--qos", "3", "--trust",
                           "on", "--spoof-check", "off", "--max-tx-rate", "100")
        index = lease["functions"][0]["index"]
        self.assertEqual(self.kernel(index), {
            "mac": "02:00:00:00:00:07", "vlan": 9, "qos": 3, "trust": True, "spoof_check": False,
            "max_tx_rate": 100})
        # Whoever has the address has it alone.
        self.assertIn(f"belongs to {vf_address(index)} of lease {lease['id']}",
                      vfbroker("lease", "guests", "--mac", "02:00:00:00:00:07", status=5).stderr)
        self.release(lease)
        self.assertEqual([self.kernel(index) for index in range(self.vfs)], fresh)
        # Several at once: one batch for all.
        lease = self.lease("--count", "3", "--vlan", "11", "--qos", "1")
        self.assertEqual([(self.kernel(i)["vlan"], self.kernel(i)["qos"]) for i in range(3)],
                         [(11, 1)] * 3)
        self.release(lease)
        self.assertEqual([self.kernel(index) for index in range(self.vfs)], fresh)
        # Who asks for the address that a function has gets it.
        lease = self.lease("--mac", fresh[2]["mac"])
        self.assertEqual(lease["functions"][0]["index"], 2)
        self.release(lease)

    def test_not_supported_is_not_failed(self):
        self.wait_for_clean(self.vfs)
        for option, value in (("--rss-query", "on"), ("--link-state", "disable"),
                              ("--node-guid", "02:00:00:00:00:00:00:01"),
                              ("--vlan-protocol", "802.1ad")):
            extra = ["--vlan", "5"] if option == "--vlan-protocol" else []
            self.refused(option, value, *extra, status=1, says="not supported")
        self.refused("--rss-query", "on", status=1, says="rss_query=true on VF 0 of "
                     f"{netdev_of()}: not supported by igb")
        # What it has anyway is no wish that could fail.
        self.release(self.lease("--rss-query", "off"))
        shown = vfbroker("show", vf_address(0)).stdout
        self.assertRegex(shown, r"not supported +rss_query")
        # Vectors: the pool's functions are not lent with fewer or more than it promises.
        self.reload(guests="msix_vectors = 5")
        vfbroker("release", self.lease()["id"])
        wait_for("the function is quarantined", lambda: self.pool()["quarantined"] == 1)
        self.assertIn("5 MSI-X vectors: not supported by igb", "\n".join(self.pool()["problems"]))
        self.reload()
        self.wait_for_clean(self.vfs)
        # The switch: nothing is changed, and the VFs go on.
        self.reload(pf='eswitch_mode = "switchdev"')
        self.assertEqual(self.pf_status()["state"], "differs")
        self.assertIn(f"set the switch of {PF} to switchdev mode: its driver has none that can be "
                      "chosen", self.pf_status()["problem"])
        self.wait_for_clean(self.vfs)
        self.reload()
        wait_for("the PF is ready", lambda: self.pf_status()["state"] == "ready")

    def pf_status(self):
        return machine.vfbroker_json("status")["physicalFunctions"][0]

    def test_limits_of_tenants(self):
        self.wait_for_clean(self.vfs)
        lease = self.lease("--vlan", "300", "--mac", "02:00:00:ff:ff:ff", uid=ALICE)
        self.assertEqual(self.kernel(lease["functions"][0]["index"])["vlan"], 300)
        self.release(lease)
        for options, says in (
                (("--vlan", "5"), "5 is not among what the pool lets its users set vlan to: "
                                  "100-199, 300"),
                (("--vlan", "0"), "100-199, 300"),
                (("--mac", "52:54:00:00:00:01"), "set mac to: 02:00:00:*"),
                (("--max-tx-rate", "0"), "set max_tx_rate to: 1-500"),
                (("--trust", "on"), "set trust to: false"),
                (("--link-state", "auto"), "does not let its users set link_state")):
            self.refused(*options, uid=ALICE, status=3, says=says)
        self.release(self.lease("--vlan", "5"))  # root

    def test_addresses_are_unique(self):
        self.wait_for_clean(self.vfs)
        pf = netdev_of()
        self.addCleanup(run, "ip", "netns", "delete", "web", status=None)
        self.addCleanup(run, "ip", "link", "delete", "other", status=None)
        run("ip", "link", "set", pf, "vf", "3", "mac", "02:00:00:00:03:03")
        run("ip", "link", "add", "other", "address", "02:00:00:00:04:04", "type", "dummy")
        run("ip", "netns", "add", "web")
        run("ip", "-n", "web", "link", "add", "inside", "address", "02:00:00:00:05:05", "type",
            "dummy")
        for mac, who in (("02:00:00:00:03:03", f"VF 3 of {pf} has it"),
                         ("02:00:00:00:04:04", "other has it"),
                         ("02:00:00:00:05:05", "inside in the network namespace web has it"),
                         (link()["address"], f"{pf} has it")):
            self.refused("--mac", mac, status=5, says=f"MAC address {mac}: {who}")
        # A stable address that somebody takes while the VF is lent with another one.
        stable = self.kernel(0)["mac"]
        lease = self.lease("--mac", "02:00:00:00:06:06")
        self.assertEqual(lease["functions"][0]["index"], 0)
        run("ip", "link", "set", "other", "address", stable)
        self.release(lease)
        following = self.kernel(0)["mac"]
        self.assertNotIn(following, (stable, "02:00:00:00:06:06"))
        self.assertEqual(int(following[:2], 16) & 3, 2, "local, for one")
        run("ip", "link", "delete", "other")
        self.release(self.lease("--mac", "02:00:00:00:06:06"))
        self.assertEqual(self.kernel(0)["mac"], stable)

    def test_the_pf_is_given_back(self):
        self.wait_for_clean(self.vfs)
        self.assertEqual(link()["mtu"], 2000)
        self.reload(pf="mtu = 3000")
        wait_for("the MTU is the new one", lambda: link()["mtu"] == 3000)
        self.reload()
        wait_for("the MTU is as it was found", lambda: link()["mtu"] == 1500)
        self.reload(pf="mtu = 60000")
        # More than its driver takes is not tried.
        self.assertEqual(self.pf_status()["state"], "differs")
        self.assertRegex(self.pf_status()["problem"],
                         f"set the MTU of {PF} to 60000: its driver takes 68 to [0-9]+")
        self.assertEqual(link()["mtu"], 1500)
        self.reload(pf="mtu = 2000")
        wait_for("the MTU is as configured", lambda: link()["mtu"] == 2000)
        self.daemon.configure("")
        vfbroker("reload")
        self.daemon.wait_for_log("is as it was found")
        self.assertEqual(link()["mtu"], 1500)


if __name__ == "__main__":
    unittest.main(verbosity=2)
