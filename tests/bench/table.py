# SPDX-License-Identifier: GPL-2.0-or-later
"""table.py RESULTS [--readme]: the results of a run as a table, each held against its bound.
RESULTS has lines `NAME VALUE OURS FLOOR`, the latter two in microseconds or 0."""
import pathlib
import re
import sys

# name: (what is measured, against what, unit of the value, bound)
FIGURES = {
    "enumerate": ("enumerate 4,096 functions, cold process", "`lspci -D -k`, same tree", "x", 0.5),
    "list_call": ("`List` of 4,096 functions from the running daemon", "an empty call", "ms more",
                  5),
    "list_cli": ("`vfbroker list --all` of them, the whole program", "`vfbroker pool`", "ms more",
                 None),
    "lease_p50": ("lease to descriptors in hand, p50", "the same system calls bare", "x", 3),
    "lease_p99": ("lease to descriptors in hand, p99", "the same system calls bare", "x", 5),
    "plan": ("`vfbroker plan` of 2,048 VFs", "a program that reads the inventory, same tree", "x", 3),
    "plan_resize": ("`vfbroker plan` of another number of VFs for 8 PFs x 256",
                    "a program that reads the inventory, same tree", "x", None),
    "boot": ("start of the daemon to 2 PFs x 7 VFs and 1 NVMe x 64 clean",
             "the same kernel calls bare", "x", 1.15),
    "provision": ("create and bind 2 PFs x 7 VFs", "bare sysfs writes", "x", 1.15),
    "attributes": ("set and read back 3 attributes of 256 VFs",
                   "the same netlink messages bare, in one batch", "x", 2),
    "attributes_ip": ("set 3 attributes of 256 VFs", "`ip link set` for each", "times faster", 500),
    "memory": ("daemon's resident memory with 4,096 functions", "", "MiB", 12),
    "wakeups": ("wake-ups of the idle daemon in 10 s", "", "", 0),
}
# Of these the bound is the least.
LEAST = {"attributes_ip"}
BEGIN, END = "<!-- figures: ./dev bench --readme -->", "<!-- end of figures -->"


def main():
    rows = ["| what | against | measured | bound |", "|---|---|---|---|"]
    broken = []
    lines = pathlib.Path(sys.argv[1]).read_text(encoding="ascii").splitlines()
    measured = {name: values for name, *values in map(str.split, lines)}
    for name, (what, against, unit, bound) in FIGURES.items():
        if name not in measured:
            broken.append(f"{name} was not measured")
            continue
        value = float(measured[name][0])
        limit = "" if bound is None else f"{bound:g} {unit}".strip()
        if name in LEAST:
            limit = "at least " + limit
        rows.append(f"| {what} | {against} | {f'{value:g} {unit}'.strip()} | {limit} |")
        if bound is not None and (value < bound if name in LEAST else value > bound):
            broken.append(f"{what}: {value:g} {unit}, bound {bound:g}")
    table = "\n".join(rows)
    print(table)
    if sys.argv[2:] == ["--readme"]:
        readme = pathlib.Path(__file__).resolve().parents[2] / "README.md"
        text = readme.read_text(encoding="utf-8")
        pattern = re.escape(BEGIN) + ".*?" + re.escape(END)
        readme.write_text(re.sub(pattern, f"{BEGIN}\n{table}\n{END}", text, flags=re.S),
                          encoding="utf-8")
    for line in broken:
        print(f"broken: {line}", file=sys.stderr)
    return 1 if broken else 0


sys.exit(main())
