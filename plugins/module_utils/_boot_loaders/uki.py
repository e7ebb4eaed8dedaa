# Unified kernel images: the command line is a part of the file that the firmware boots.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# systemd-stub takes the section .cmdline. kernel-install with layout=uki makes the image anew through ukify
# (60-ukify.install), from /etc/kernel/cmdline.
import re
import typing as t

from .._command_line import Parameter, parse, satisfied
from . import esp, kernel_install
from .interface import BootLoader, BootLoaderError, Command, Entry, Plan, changed_line, latin
from .pe import PeError, section

_LAYOUT = re.compile(r"(?m)^[ \t]*layout=[\"']?(\w+)")
_INSTALL_CONF = ("/etc/kernel/install.conf", "/run/kernel/install.conf", "/usr/lib/kernel/install.conf")
_MKINITCPIO_FOLDER = "/etc/cmdline.d"
_MODULES = ("/usr/lib/modules", "/lib/modules")
_MACHINE_ID = re.compile(r" systemd\.machine_id=[0-9a-f]+$")
_TRIES = re.compile(r"(\+[0-9]+(-[0-9]+)?)?\.efi$")


class UnifiedKernelImage(BootLoader):
    """Images in EFI/Linux of the EFI system partition or the extended boot partition."""

    name = "uki"

    def detect(self) -> str | None:
        """At least one image."""
        found = esp.images(self.host)
        return f"{found[0]} exists" if found else None

    def read(self, _parameters: t.Sequence[Parameter] = ()) -> tuple[Entry, ...]:
        """Each image's section .cmdline, and the line of a kernel that is installed later."""
        entries = tuple(Entry(path, self._line(path)) for path in esp.images(self.host))
        future = kernel_install.read_line(self.host)
        return entries if future is None else (*entries, Entry(kernel_install.FUTURE, future))

    def plan(self, parameters: t.Sequence[Parameter]) -> Plan:
        """Change /etc/kernel/cmdline, and make each image anew that does not have the parameters."""
        kernel_install.check(parameters, echo=False)
        images = [entry for entry in self.read() if entry.id != kernel_install.FUTURE]
        wrong = [entry for entry in images if not satisfied(parse(entry.line), parameters)]
        template = images[0].line if images else ""
        old = kernel_install.read_line(self.host)
        # The images are made from the file, so that it cannot go while one has to be made.
        future = kernel_install.change_line(
            self.host, parameters, template=template, needed=bool(wrong), keep=bool(wrong)
        )
        after = [self._expected(entry, parameters, template if old is None else old, wrong) for entry in images]
        after += [] if future.line is None else [Entry(kernel_install.FUTURE, future.line)]
        commands = tuple(self._command(entry.id) for entry in wrong)
        folders = tuple(sorted({path.rsplit("/", 1)[0] for path in esp.images(self.host)})) if commands else ()
        return Plan(future.files, commands, folders, tuple(after), future.notes)

    def _line(self, path: str) -> str:
        try:
            content = section(self.host.read(path) or b"", ".cmdline")
        except PeError as error:
            raise BootLoaderError(f"{path} cannot be read: {error}") from error
        if content is None:
            raise BootLoaderError(
                f"{path} has no command line of its own (no section .cmdline): it boots with what its loader gives it"
            )
        return latin(content).rstrip("\0\n ").lstrip(" ")

    def _expected(
        self, entry: Entry, parameters: t.Sequence[Parameter], made_from: str, wrong: t.Sequence[Entry]
    ) -> Entry:
        """Exact where the image was made from the very line that it will be made from again."""
        if entry not in wrong:
            return entry
        line, suffix = entry.line, ""
        # 60-ukify.install puts it behind the line that it reads.
        added = _MACHINE_ID.search(line)
        if added and not _MACHINE_ID.search(made_from):
            line, suffix = line[: added.start()], added.group()
        same = [word.text for word in parse(line).words] == [word.text for word in parse(made_from).words]
        return Entry(entry.id, changed_line(line, parameters) + suffix, exact=same)

    def _command(self, path: str) -> Command:
        """kernel-install for the kernel of one image. Raises BootLoaderError when it would not make that image."""
        layouts = [
            found.group(1)
            for conf in _INSTALL_CONF
            for found in [_LAYOUT.search(latin(self.host.read(conf) or b""))]
            if found
        ]
        if layouts[:1] != ["uki"]:
            parts = self.host.glob(_MKINITCPIO_FOLDER, "*.conf")
            if parts:
                raise BootLoaderError(
                    f"{path} has its command line from {', '.join(parts)}, as mkinitcpio does it: this is not "
                    f"supported; change it there and run mkinitcpio, or set layout=uki in {_INSTALL_CONF[0]} to "
                    "have kernel-install make the images"
                )
            raise BootLoaderError(
                f"{path} is a unified kernel image, and kernel-install is not set to make them: set layout=uki in "
                f"{_INSTALL_CONF[0]}"
            )
        for program, package in (("kernel-install", "systemd"), ("ukify", "systemd-ukify")):
            if self.host.program(program) is None and not self.host.exists(f"/usr/lib/systemd/{program}"):
                raise BootLoaderError(f"{program} is missing, which makes {path}: install the package {package}")
        version, kernel = self._kernel_of(path)
        return Command((self.host.program("kernel-install") or "kernel-install", "add", version, kernel), "systemd")

    def _kernel_of(self, path: str) -> tuple[str, str]:
        stem = _TRIES.sub("", path)
        versions = {folder.rsplit("/", 1)[1] for place in _MODULES for folder in self.host.glob(place, "*")}
        for version in sorted(versions, key=len, reverse=True):
            if stem.endswith((f"-{version}", f"/{version}")):
                for kernel in (f"/usr/lib/modules/{version}/vmlinuz", f"/boot/vmlinuz-{version}"):
                    if self.host.exists(kernel):
                        return version, kernel
        raise BootLoaderError(
            f"the kernel that {path} was made from is not found below /usr/lib/modules and /boot: remove the image, or "
            "install that kernel again"
        )
