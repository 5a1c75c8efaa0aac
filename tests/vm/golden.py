# SPDX-License-Identifier: GPL-2.0-or-later
"""Output that is held in tests/vm/golden/. After a wanted change run the test in a machine with
VFB_REGENERATE_GOLDEN=1 (./dev vm --share DIR … -- env VFB_REGENERATE_GOLDEN=1 …), copy
DIR/golden/* over it, and read the difference."""
import os
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parent / "golden"


def check(test, name, text):
    """`text` is as recorded in the file `name`."""
    if os.environ.get("VFB_REGENERATE_GOLDEN"):
        out = pathlib.Path(os.environ["VFB_SHARE"]) / "golden"
        out.mkdir(exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")
        return
    test.assertEqual(text, (FOLDER / name).read_text(encoding="utf-8"), name)
