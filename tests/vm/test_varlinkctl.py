# SPDX-License-Identifier: GPL-2.0-or-later
"""A varlink client that nobody here wrote: systemd's varlinkctl introspects and calls the daemon."""
import json
import re
import unittest

import machine
from machine import REPO, SOCKET, run, vfbroker, vfbroker_json

METHOD = re.compile(r"^method (\w+)", re.MULTILINE)


def varlinkctl(*arguments, **options):
    return run(REPO / "tests/vm/trixie.sh", "run", "systemd", "varlinkctl", "--no-pager",
               *arguments, **options)


def call(method, parameters="{}", *options, **how):
    return varlinkctl("call", "--json=short", *options, SOCKET, f"io.vfbroker.{method}", parameters,
                      **how)


class Varlinkctl(machine.Test):
    def test_introspects(self):
        info = json.loads(varlinkctl("info", "--json=short", SOCKET).stdout)
        self.assertEqual(info["product"], "vfbrokerd")
        self.assertEqual(varlinkctl("list-interfaces", SOCKET).stdout.split(),
                         ["io.vfbroker", "org.varlink.service"])
        ours = (REPO / "src/proto/io.vfbroker.varlink").read_text(encoding="utf-8")
        shown = varlinkctl("introspect", SOCKET, "io.vfbroker").stdout
        # It prints what its parser understood, comments included; types of words come first.
        self.assertEqual(sorted(re.findall(r"\w+", shown)), sorted(re.findall(r"\w+", ours)))
        self.assertIn("method GetInfo", varlinkctl("introspect", SOCKET).stdout)
        self.assertEqual(sorted(re.findall(r"^io\.vfbroker\.(\w+)$",
                                           varlinkctl("list-methods", SOCKET, "io.vfbroker").stdout,
                                           re.MULTILINE)),
                         sorted(METHOD.findall(ours)))

    def test_calls(self):
        self.wait_for_clean(4)
        for method, command in (("ListPools", "pool"), ("ListLeases", "leases")):
            self.assertEqual(json.loads(call(method).stdout), vfbroker_json(command))
        managed = json.loads(call("List", '{"managed": true}').stdout)
        self.assertEqual(managed, vfbroker_json("list"))
        shown = call("Show", json.dumps({"function": machine.vf_address(0)})).stdout
        self.assertEqual(json.loads(shown)["function"]["summary"]["state"], "clean")

        lease = json.loads(call("Lease", '{"pool": "guests", "owner": "guest", "handOff": "node", '
                                         '"attributes": {"vlan": 5}}').stdout)["lease"]
        self.assertEqual(machine.kernel_attributes(lease["functions"][0]["index"])
                         ["vlan_list"][0]["vlan"], 5)
        call("Release", json.dumps({"lease": lease["id"]}))
        self.wait_for_clean(4)

        # Several replies to one call, each behind a record separator.
        self.daemon.configure(machine.CONFIG.format(vfs=6))
        self.assertEqual(json.loads(call("Plan").stdout)["plan"]["add"], 6)
        said = call("Apply", "{}", "--more").stdout
        replies = [json.loads(text) for text in said.split("\x1e") if text]
        self.assertGreater(len(replies), 1)
        self.assertIn("total", replies[0])
        self.assertEqual(replies[-1]["left"]["physicalFunctions"], [])
        vfbroker("plan")

    def test_refusals(self):
        refused = call("Lease", '{"pool": "gusts"}', status=1)
        said = refused.stdout + refused.stderr
        self.assertIn("io.vfbroker.Failed", said)
        self.assertIn("cannot lease from pool gusts: there is no such pool", said)
        self.assertIn("pools: guests", said)
        refused = call("Lease", '{"pool": "guests", "number": 2}', status=1)
        self.assertIn("org.varlink.service.InvalidParameter", refused.stdout + refused.stderr)
        self.assertIn("number", refused.stdout + refused.stderr)
        refused = call("Explode", status=1)
        self.assertIn("org.varlink.service.MethodNotFound", refused.stdout + refused.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
