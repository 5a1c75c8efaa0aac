# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that is started finds every VF, attribute and binding of its configuration in place
before the network, libvirt and the kubelet come up, and again when it is started once more
(./dev vm --systemd --before tests/vm/before-boot --boots 2)."""
import json
import os
import pathlib
import unittest

import machine
from machine import run, vfbroker, vfbroker_json

SECOND = "0000:02:00.0"


def clean(pools):
    return {pool["name"]: pool["clean"] for pool in pools["pools"]}


class Boot(unittest.TestCase):
    def tearDown(self):
        result = self._outcome.result
        if any(test is self for test, _ in result.failures + result.errors):
            print(run("journalctl", "--unit", "vfbrokerd", "--no-pager", "-o", "cat").stdout,
                  flush=True)

    def test_all_is_in_place_without_a_hand(self):
        print(f"boot {os.environ['VFB_BOOT']}", flush=True)
        self.assertEqual(run("systemctl", "is-active", "vfbrokerd").stdout, "active\n")
        self.assertEqual(clean(vfbroker_json("pool")), {"guests": 10, "disks": 4})
        for pf, count in ((machine.PF, 7), (SECOND, 3)):
            for index in range(count):
                self.assertEqual(machine.driver_of(machine.vf_address(index, pf)), "vfio-pci")
                seen = machine.kernel_attributes(index, pf)
                self.assertEqual((seen["vlan_list"][0]["vlan"], seen["spoofchk"],
                                  seen["rate"]["max_tx"]), (100, False, 500))
        disks = next(pathlib.Path("/sys/bus/pci/drivers/nvme").glob("0000:*")).name
        self.assertEqual([machine.driver_of(machine.vf_address(index, disks))
                          for index in range(4)], ["vfio-pci"] * 4)
        vfbroker("plan")

    def test_before_whoever_wants_to_use_them(self):
        for witness in ("libvirtd", "kubelet", "networks"):
            with self.subTest(witness):
                seen = json.loads(pathlib.Path(f"/run/{witness}.json").read_text("utf-8"))
                self.assertEqual(clean(seen), {"guests": 10, "disks": 4})


if __name__ == "__main__":
    unittest.main(verbosity=2)
