# GRUB 2 with an entry file for each kernel (Boot Loader Specification): Fedora, RHEL and their relatives.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# GRUB's blscfg command runs "options" as a command of its own language, so that GRUB's quoting holds there, and fills
# in $kernelopts and $tuned_params from grubenv. grubby deletes every value of a name when one is added, and does not
# find values with "+" or spaces when one is removed (docs/boot-loaders.md): the files that it would write are written
# here, all of them: the entries, kernelopts in grubenv (RHEL 8), GRUB_CMDLINE_LINUX (what grub2-mkconfig takes),
# /etc/kernel/cmdline (what kernel-install takes for a later kernel).
import re
import typing as t

from .._command_line import CommandLineError, Parameter
from . import esp, grub_defaults, grub_script, kernel_install
from .interface import BootLoader, BootLoaderError, Entry, FileChange, Plan, file_change, latin
from .ostree import BOOTED
from .systemd_boot import OPTIONS, options_of

CONFIGURATION = "/boot/grub2/grub.cfg"
_FOLDER = "/boot/grub2"
GRUBENV = f"{_FOLDER}/grubenv"
_GRUBENV_SIZE = 1024  # GRUB refuses an environment block of any other size
_VARIABLE = re.compile(r"(?m)^(\w+)=((?:\\.|[^\\\n])*)$")
_VARIABLES = re.compile(r"\$(\w*)")
_DEFAULTS = f"{grub_defaults.SETTINGS} (grub2-mkconfig)"


class BlsGrub(BootLoader):
    """Entry files that GRUB reads."""

    name = "grub_bls"

    def detect(self) -> str | None:
        """grub.cfg of the name that Fedora and SUSE use, and entry files, without systemd-boot or ostree."""
        found = esp.entries(self.host)
        configuration = self._configuration()
        if not found or configuration is None or self.host.exists(BOOTED) or esp.has_systemd_boot(self.host):
            return None
        return f"{configuration} and {found[0]} exist"

    def read(self, _parameters: t.Sequence[Parameter] = ()) -> tuple[Entry, ...]:
        """Every entry file, and the sources of later ones."""
        variables = self._variables()
        entries = [Entry(path, _line(path, text, variables)) for path, text in self._texts().items()]
        future = kernel_install.read_line(self.host)
        if future is not None:
            entries.append(Entry(kernel_install.FUTURE, _joined(kernel_install.FILE, future)))
        if self.host.exists(grub_defaults.SETTINGS):
            entries.append(Entry(_DEFAULTS, grub_defaults.read_settings(self.host, drop_ins=False).line))
        return tuple(entries)

    def plan(self, parameters: t.Sequence[Parameter]) -> Plan:
        """Change the entries, or kernelopts where they have it, and the sources of later ones."""
        for parameter in parameters:
            if parameter.present and "$" in str(parameter):
                raise CommandLineError(
                    f"{str(parameter)!r}: GRUB fills variables in wherever '$' stands in an entry file, and no quoting "
                    "stops it"
                )
        files: list[FileChange] = []
        after: list[Entry] = []
        texts = self._texts()
        variables = self._variables()
        changed = dict(variables)
        # Entries without it have their own line, which kernel-install makes from /etc/kernel/cmdline.
        own = [text for text in texts.values() if "$kernelopts" not in text]
        if own or self.host.exists(kernel_install.FILE):
            kernel_install.check(parameters, echo=False)
        if len(own) < len(texts) and "kernelopts" in variables:
            changed["kernelopts"] = _changed(f"kernelopts in {GRUBENV}", variables["kernelopts"], parameters)
            files += self._grubenv(changed["kernelopts"])
        for path, text in texts.items():
            new = text
            if "$kernelopts" not in text:
                new = self._changed_entry(path, text, parameters)
                files += file_change(path, text.encode("latin-1"), new)
            after.append(Entry(path, _line(path, new, changed)))
        future = kernel_install.Future(None)
        if own or self.host.exists(kernel_install.FILE):
            template = _VARIABLES.sub("", options_of(own[0])) if own else ""
            future = kernel_install.change_line(
                self.host, parameters, template=template, needed=bool(files), change_text=_changed_future
            )
            files += future.files
        if future.line is not None:
            after.append(Entry(kernel_install.FUTURE, _joined(kernel_install.FILE, future.line)))
        if self.host.exists(grub_defaults.SETTINGS):
            settings, more = grub_defaults.change_settings(self.host, parameters, drop_ins=False)
            files += more
            after.append(Entry(_DEFAULTS, settings.line))
        return Plan(files=tuple(files), after=tuple(after), notes=future.notes)

    def _configuration(self) -> str | None:
        """GRUB's own file. RHEL 8 on UEFI has it on the EFI system partition, in the vendor's folder."""
        if self.host.exists(CONFIGURATION):
            return CONFIGURATION
        vendors = self.host.glob("/boot/efi/EFI", "*") if self.host.is_folder(_FOLDER) else []
        return next((f"{vendor}/grub.cfg" for vendor in vendors if self.host.exists(f"{vendor}/grub.cfg")), None)

    def _texts(self) -> dict[str, str]:
        return {path: latin(self.host.read(path) or b"") for path in esp.entries(self.host)}

    def _variables(self) -> dict[str, str]:
        text = latin(self.host.read(GRUBENV) or b"")
        return {found.group(1): re.sub(r"\\(.)", r"\1", found.group(2)) for found in _VARIABLE.finditer(text)}

    def _grubenv(self, value: str) -> tuple[FileChange, ...]:
        content = self.host.read(GRUBENV) or b""
        escaped = value.replace("\\", "\\\\")
        text = _VARIABLE.sub(
            lambda found: f"kernelopts={escaped}" if found.group(1) == "kernelopts" else found.group(), latin(content)
        ).rstrip("#")
        if len(text) > _GRUBENV_SIZE:
            raise BootLoaderError(
                f"{GRUBENV} would need {len(text)} bytes and has {_GRUBENV_SIZE}: use fewer or shorter parameters"
            )
        return file_change(GRUBENV, content, text.ljust(_GRUBENV_SIZE, "#"))

    def _changed_entry(self, path: str, text: str, parameters: t.Sequence[Parameter]) -> str:
        found = list(OPTIONS.finditer(text))
        if len(found) != 1:
            raise BootLoaderError(f"{path} has {len(found)} lines of options: one is expected")
        new = _changed(path, found[0].group(2), parameters)
        return text[: found[0].start(2)] + new + text[found[0].end(2) :]


def _line(path: str, text: str, variables: t.Mapping[str, str]) -> str:
    """GRUB fills the variables in first and takes the quotes off then, as blscfg does."""
    return _joined(path, _VARIABLES.sub(lambda found: variables.get(found.group(1), ""), options_of(text)))


def _joined(source: str, text: str) -> str:
    """The line that GRUB makes from a text of its language."""
    try:
        return grub_script.join(grub_script.words(text))
    except grub_script.GrubScriptError as error:
        raise BootLoaderError(f"{source}: {error}") from error


def _changed(source: str, text: str, parameters: t.Sequence[Parameter]) -> str:
    try:
        return grub_script.change_text(text, parameters)
    except grub_script.GrubScriptError as error:
        raise BootLoaderError(f"{source}: {error}; quote it first") from error


def _changed_future(text: str, parameters: t.Sequence[Parameter]) -> str:
    body = text.rstrip("\n")
    return _changed(kernel_install.FILE, body, parameters) + text[len(body) :]
