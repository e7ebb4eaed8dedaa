# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pack the guest's program into one file that its python3 runs: pack.py COLLECTION FILE.

COLLECTION is the folder of the installed collection, whose engine is what is tested.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[2]
NAME = Path("ansible_collections/fleet/netconsole")
TESTS = Path("tests/unit/plugins/module_utils")
START = "import sys\n\nfrom kernels.guest.__main__ import main\n\nsys.exit(main(sys.argv[1:]))\n"


def pack(collection: Path, target: Path) -> None:
    """Write the program: the checks, the engine, the unit tests' random declarations and model of the kernel."""
    sources = {Path("kernels/guest") / path.name: path for path in (HERE / "guest").glob("*.py")}
    engine = collection / "plugins" / "module_utils"
    sources.update((NAME / "plugins/module_utils" / path.name, path) for path in engine.glob("*.py"))
    for shared in ("fake_kernel.py", "random_declarations.py"):
        sources[NAME / TESTS / shared] = CHECKOUT / TESTS / shared
    texts = {str(path): source.read_text(encoding="utf-8") for path, source in sources.items()}
    for path in sources:
        for folder in path.parents[:-1]:
            texts.setdefault(str(folder / "__init__.py"), "")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", START)
        for name, text in sorted(texts.items()):
            archive.writestr(name, text)


if __name__ == "__main__":
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
