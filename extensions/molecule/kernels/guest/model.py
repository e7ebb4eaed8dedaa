# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unit tests' model of this kernel gives the answers that the kernel gives: the same raw steps on both."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ansible_collections.fleet.netconsole.plugins.module_utils._configfs import ROOT, Files
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.fake_kernel import FakeKernel, Interface
from ansible_collections.fleet.netconsole.tests.unit.plugins.module_utils.random_declarations import DEVICES, GONE
from kernels.guest.ground import NC0, NC1, RECEIVER, RECEIVER6, Ground, must

Check = Callable[[Ground], None]
PROFILES = {(5, 10): "5.10", (6, 1): "6.1", (6, 12): "6.12", (7, 0): "7.2"}  # the first version that each stands for

LONG = "x" * 15
KEY53, KEY54 = "k" * 53, "k" * 54
STEPS = (
    ("mkdir", "a"),
    ("mkdir", "a"),
    ("mkdir", "n" * 255),
    ("rmdir", "n" * 255),
    ("names", "a"),
    *(("read", f"a/{name}") for name in ("enabled", "extended", "release", "dev_name", "local_port", "remote_port")),
    *(("read", f"a/{name}") for name in ("local_ip", "remote_ip", "remote_mac", "transmit_errors")),
    ("write", "a/enabled", "0"),
    ("write", "a/dev_name", GONE),
    ("write", "a/enabled", "1"),
    ("write", "a/dev_name", LONG),
    ("read", "a/dev_name"),
    ("write", "a/dev_name", LONG + "y"),
    ("read", "a/dev_name"),
    ("write", "a/dev_name", NC0.name),
    ("write", "a/remote_ip", RECEIVER),
    ("write", "a/remote_mac", "52:54:00:AA:BB:CC"),
    ("read", "a/remote_mac"),
    ("write", "a/release", "1"),
    ("write", "a/enabled", "1"),
    ("read", "a/enabled"),
    ("write", "a/release", "0"),
    ("write", "a/enabled", "1"),
    ("read", "a/enabled"),
    ("read", "a/local_ip"),
    ("write", "a/enabled", "1"),
    ("write", "a/remote_port", "7"),
    ("read", "a/remote_port"),
    ("write", "a/enabled", "0"),
    ("read", "a/local_ip"),
    ("write", "a/remote_ip", RECEIVER6),
    ("read", "a/local_ip"),
    ("write", "a/local_ip", NC0.addresses[1]),
    ("read", "a/local_ip"),
    ("write", "a/dev_name", NC1.name),
    ("write", "a/enabled", "1"),
    ("write", "a/enabled", "0"),
    ("write", "a/remote_ip", RECEIVER),
    ("read", "a/remote_ip"),
    ("read", "a/local_ip"),
    ("mkdir", f"a/userdata/{KEY53}"),
    ("mkdir", f"a/userdata/{KEY54}"),
    ("read", f"a/userdata/{KEY53}/value"),
    ("write", f"a/userdata/{KEY53}/value", "v" * 198),
    ("read", f"a/userdata/{KEY53}/value"),
    ("rmdir", "a"),
    ("write", f"a/userdata/{KEY53}/value", ""),
    ("read", f"a/userdata/{KEY53}/value"),
    ("write", "a/userdata/taskname_enabled", "1"),
    ("read", "a/userdata/taskname_enabled"),
    ("read", "a/userdata/release_enabled"),
    ("rmdir", f"a/userdata/{KEY53}"),
    ("names", "a/userdata"),
    ("rmdir", "a"),
    ("rmdir", "a"),
)


def checks() -> Iterator[tuple[str, Check]]:
    yield "the model of this kernel answers as the kernel does", alike


def alike(ground: Ground) -> None:
    ground.fresh()
    profile = [name for since, name in PROFILES.items() if since <= ground.version][-1]
    kernel = FakeKernel(profile)
    kernel.interfaces = {device.name: Interface(device.addresses) for device in DEVICES}
    different = []
    for step in STEPS:
        modelled, real = _answer(kernel, step), _answer(ground.files, step)
        if modelled != real:
            different.append(f"{' '.join(step)}: the kernel {real}, the model {modelled}")
    must(not different, "; ".join(different))


def _answer(files: Files, step: tuple[str, ...]) -> str:
    kind, path = step[0], f"{ROOT}/{step[1]}"
    try:
        if "/" in step[1] and not _offered(files, step[1]):
            return "has no such file"
        if kind == "mkdir":
            files.make_directory(path)
        elif kind == "rmdir":
            files.remove_directory(path)
        elif kind == "names":
            return " ".join(sorted(set(files.names(path))))
        elif kind == "read":
            return repr(files.read(path))
        else:
            files.write(path, f"{step[2]}\n")
    except OSError as error:
        return f"errno {error.errno}"
    return "done"


def _offered(files: Files, path: str) -> bool:
    """Whether the attribute, or the folder for user data, is there: the model takes no step that is none."""
    target, attribute = path.split("/")[:2]
    if attribute not in files.names(f"{ROOT}/{target}"):
        return False
    parts = path.split("/")
    return len(parts) < 3 or not parts[2].endswith("_enabled") or parts[2] in files.names(f"{ROOT}/{target}/userdata")
