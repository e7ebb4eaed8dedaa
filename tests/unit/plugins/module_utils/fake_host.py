# A host's network for unit tests: replays what iproute2 printed on a real kernel, step by step, and fails on any other
# call.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible_collections.fleet.netconsole.plugins.module_utils._command import CompletedCommand
from ansible_collections.fleet.netconsole.plugins.module_utils._iproute import System

# Where the records are from is said in the file itself.
RECORDED: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("recorded_iproute.json").read_text(encoding="utf-8")
)["cases"]
IPROUTE2_VERSIONS = ("5.10", "6.1", "7.3")


class FakeHost:
    """Answers the calls of a script in their order; time passes only by sleeping.

    A step of the script is the name of a record, "provoke <address> <device>", or a pair: the arguments of ip and what
    it printed.
    """

    def __init__(
        self,
        script: Sequence[Any],
        *,
        iproute2: str = "6.1",
        kernel_release: str = "6.12.107+deb13-amd64",
        sysfs: Path | str = "/nonexistent",
    ) -> None:
        self._script = list(script)
        self._iproute2 = iproute2
        self.slept: list[float] = []
        self.system = System(
            run=self._run,
            provoke=self._provoke,
            sysfs=str(sysfs),
            kernel_release=kernel_release,
            sleep=self.slept.append,
            clock=lambda: sum(self.slept),
        )

    def finish(self) -> None:
        """Fail when the code under test did not make every call of the script."""
        assert self._script == [], f"these steps were not taken: {self._script}"

    def _next(self, call: str) -> Any:
        assert self._script, f"unexpected call after the end of the script: {call}"
        return self._script.pop(0)

    def _run(self, command: Sequence[str]) -> CompletedCommand:
        step = self._next(" ".join(command))
        if isinstance(step, tuple):
            arguments, answer = step[0], CompletedCommand(0, step[1], "")
        else:
            assert step in RECORDED, f"unexpected call {' '.join(command)!r}, the script has {step!r}"
            arguments, answer = RECORDED[step]["arguments"], recorded(step, self._iproute2)
        assert list(command) == ["ip", *arguments], f"step {step!r}"
        return answer

    def _provoke(self, address: str, dev_name: str) -> None:
        assert self._next(f"provoke {address} {dev_name}") == f"provoke {address} {dev_name}"


def recorded(case: str, iproute2: str) -> CompletedCommand:
    """What this version of iproute2 printed in this case."""
    (answer,) = [answer for answer in RECORDED[case]["answers"] if iproute2 in answer["iproute2"]]
    return CompletedCommand(answer["returncode"], answer["stdout"], answer["stderr"])


def make_sysfs(
    folder: Path, devices: Sequence[str], *, masters: dict[str, str] | None = None, wifi: Sequence[str] = ()
) -> Path:
    """A /sys with these network devices (/sys/class/net), some with a master, some with a radio."""
    net = folder / "class" / "net"
    for device in devices:
        (net / device).mkdir(parents=True)
    for device, master in (masters or {}).items():
        (net / device / "master").symlink_to(net / master)
    for device in wifi:
        (net / device / "phy80211").mkdir()
    (net / "bonding_masters").write_text("bond0\n", encoding="utf-8")  # the driver's file, beside the devices
    return folder
