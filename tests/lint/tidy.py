# SPDX-License-Identifier: GPL-2.0-or-later
"""Usage: tidy.py COMPILE_COMMANDS CACHE_DIR: runs clang-tidy on each file, as many at a time as
there are CPUs, and remembers by a hash of everything that decides the outcome which were clean."""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys

TIDY, CLANG = "clang-tidy-19", "clang++-19"


def preprocessed(entry):
    """What the compiler sees, with comments: they may hold NOLINT."""
    args = shlex.split(entry["command"])
    # ccache, the compiler, and where the object goes
    args = args[next(i for i, a in enumerate(args) if a.startswith("-")):]
    out = args.index("-o")
    del args[out:out + 2]
    command = [CLANG, "-w", "-Wno-unknown-warning-option", *args, "-E", "-C", "-P"]
    run = subprocess.run(command, cwd=entry["directory"], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, check=False)
    return run.stdout if run.returncode == 0 else None


def check(entry, database, cache, config):
    """None if clean, else what clang-tidy says."""
    text = preprocessed(entry)
    # Where the tree lies does not matter: a clean clone finds what another one has proven.
    command = entry["command"].replace(str(pathlib.Path.cwd()), "")
    key = text and cache / hashlib.sha256(config + command.encode() + text).hexdigest()
    if key and key.exists():
        return None
    run = subprocess.run([TIDY, "--quiet", "-p", str(database.parent), "--warnings-as-errors=*",
                          "--extra-arg=-Wno-unknown-warning-option", entry["file"]],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode == 0:
        if key:
            key.touch()
        return None
    return run.stdout or run.stderr


def main():
    database, cache = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    cache.mkdir(parents=True, exist_ok=True)
    config = pathlib.Path(".clang-tidy").read_bytes()
    # Not the tests: they are half of the time, and a fault in one shows when it runs.
    tests = str(pathlib.Path("tests").resolve()) + os.sep
    entries = [e for e in json.loads(database.read_text())
               if e["file"].endswith(".cpp") and not e["file"].startswith(tests)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {pool.submit(check, e, database, cache, config): e["file"] for e in entries}
        for done, job in enumerate(concurrent.futures.as_completed(jobs), 1):
            if sys.stderr.isatty():
                print(f"\r\033[Kclang-tidy: {done} of {len(jobs)}", end="", file=sys.stderr)
            if job.result() is not None:
                failed += 1
                print(f"\n{os.path.relpath(jobs[job])}:\n{job.result()}", file=sys.stderr)
    print(f"clang-tidy: {len(jobs)} files, {failed} with findings", file=sys.stderr)
    return 1 if failed else 0


sys.exit(main())
