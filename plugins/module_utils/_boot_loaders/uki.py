# Unified kernel images: the command line is a part of the file that the firmware boots.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# systemd-stub takes the section .cmdline. kernel-install with layout=uki makes an image anew: through ukify
# (60-ukify.install) from /etc/kernel/cmdline, or through mkinitcpio from that one's files. A preset of mkinitcpio makes
# it without kernel-install.
import re
import typing as t
from dataclasses import dataclass

from .._command_line import Parameter, parse, satisfied
from . import esp, kernel_install, mkinitcpio
from .interface import BootLoader, BootLoaderError, Command, Entry, Plan, changed_line, latin
from .pe import PeError, section

_SETTING = r"(?m)^[ \t]*{}=[\"']?(\w+)"
_INSTALL_FOLDERS = ("/etc/kernel", "/run/kernel", "/usr/local/lib/kernel", "/usr/lib/kernel")
_GENERATORS = {"ukify": "systemd-ukify", "mkinitcpio": "mkinitcpio", "dracut": "dracut"}  # programs and their packages
_MODULES = ("/usr/lib/modules", "/lib/modules")
_MACHINE_ID = re.compile(r" systemd\.machine_id=[0-9a-f]+$")
_TRIES = re.compile(r"(\+[0-9]+(-[0-9]+)?)?\.efi$")


@dataclass(frozen=True)
class _Image:
    """One image; source: where mkinitcpio takes its line from, None where it comes from /etc/kernel/cmdline alone."""

    entry: Entry
    source: mkinitcpio.Source | None
    preset: mkinitcpio.Preset | None


class UnifiedKernelImage(BootLoader):
    """Images in EFI/Linux of the EFI system partition or the extended boot partition."""

    name = "uki"

    def detect(self) -> str | None:
        """At least one image."""
        found = esp.images(self.host)
        return f"{found[0]} exists" if found else None

    def read(self, _parameters: t.Sequence[Parameter] = ()) -> tuple[Entry, ...]:
        """Each image's section .cmdline, and the lines of kernels that are installed later."""
        images, _problems = self._images()
        files = mkinitcpio.Files(self.host)
        entries = [image.entry for image in images]
        for source in _sources(images):
            entries += _future(source, kernel_install.read_line(self.host) if source is None else files.line(source))
        return tuple(entries)

    def plan(self, parameters: t.Sequence[Parameter]) -> Plan:
        """Change the files that the lines come from, and make each image anew that does not have the parameters."""
        kernel_install.check(parameters, echo=False)
        images, problems = self._images()
        wrong = [image for image in images if not satisfied(parse(image.entry.line), parameters)]
        commands = tuple(dict.fromkeys(self._command(image, problems) for image in wrong))
        made = [image for image in images if image in wrong or (image.preset and image.preset.command in commands)]
        files = mkinitcpio.Files(self.host)
        future = kernel_install.Future(None)
        for source in _sources(images):
            needed = any(image.source == source for image in made)
            if source is None:
                template = next(image.entry.line for image in images if image.source is None)
                # The images are made from the file, so that it cannot go while one has to be made.
                future = kernel_install.change_line(
                    self.host, parameters, template=template, needed=needed, keep=needed
                )
                files.take(future.files)
            else:
                files.change(source, parameters, needed=needed)
        after = {image.entry.id: image.entry for image in images}
        futures: list[Entry] = []
        for source in _sources(images):
            line = future.line if source is None else files.line(source)
            for image in made:
                if image.source == source:
                    after[image.entry.id] = self._expected(image, parameters, line or "")
            futures += _future(source, line)
        generated = {path.rsplit("/", 1)[0] for path in esp.images(self.host)} if commands else set()
        generated.update(path for image in made if image.preset for path in image.preset.made)
        return Plan(files.changes(), commands, tuple(sorted(generated)), (*after.values(), *futures), future.notes)

    def _images(self) -> tuple[list[_Image], list[str]]:
        """Those in EFI/Linux, and those that a preset has elsewhere; and why presets cannot be read."""
        presets, problems = mkinitcpio.presets(self.host)
        known = {self._identity(preset.image): preset for preset in presets}
        default = mkinitcpio.DEFAULT if self._setting("uki_generator") == "mkinitcpio" else None
        images = []
        for path in esp.images(self.host):
            preset = known.pop(self._identity(path), None)
            images.append(_Image(Entry(path, self._line(path)), preset.source if preset else default, preset))
        for identity, preset in known.items():
            if identity is not None and preset.source != mkinitcpio.NO_LINE:
                images.append(_Image(Entry(preset.image, self._line(preset.image)), preset.source, preset))
        return images, problems

    def _identity(self, path: str) -> tuple[int, int] | None:
        """What tells one file under several names: FAT takes capitals and small letters for the same."""
        known = self.host.stat(path)
        return None if known is None else (known.st_dev, known.st_ino)

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

    def _expected(self, image: _Image, parameters: t.Sequence[Parameter], made_from: str) -> Entry:
        """An image that is made again, from a line that will be as declared."""
        line, suffix = image.entry.line, ""
        if image.source is not None:
            return Entry(image.entry.id, made_from)
        # 60-ukify.install puts it behind the line that it reads.
        added = _MACHINE_ID.search(line)
        if added and not _MACHINE_ID.search(made_from):
            line, suffix = line[: added.start()], added.group()
        line = changed_line(line, parameters)
        # Exact where the image was made from the very line that it will be made from again.
        same = [word.text for word in parse(line).words] == [word.text for word in parse(made_from).words]
        return Entry(image.entry.id, line + suffix, exact=same)

    def _command(self, image: _Image, problems: t.Sequence[str]) -> Command:
        """What makes an image anew. Raises BootLoaderError when nothing would."""
        path = image.entry.id
        if image.preset is not None:
            programs = {"mkinitcpio": "mkinitcpio"}
        elif self._setting("layout") == "uki":
            generator = self._setting("uki_generator") or "ukify"
            programs = {"kernel-install": "systemd", generator: _GENERATORS.get(generator, generator)}
        else:
            raise BootLoaderError(
                f"{path} is a unified kernel image, and nothing is known to make it: set layout=uki in "
                f"{_INSTALL_FOLDERS[0]}/install.conf for kernel-install, or name it in a preset of mkinitcpio in "
                f"{mkinitcpio.PRESETS}" + "".join(f"; {problem}" for problem in problems)
            )
        for program, package in programs.items():
            if self.host.program(program) is None and not self.host.exists(f"/usr/lib/systemd/{program}"):
                raise BootLoaderError(f"{program} is missing, which makes {path}: install the package {package}")
        if image.preset is not None:
            return image.preset.command
        version, kernel = self._kernel_of(path)
        return Command((self.host.program("kernel-install") or "kernel-install", "add", version, kernel), "systemd")

    def _setting(self, name: str) -> str:
        """A setting of kernel-install: of the first file that exists and the drop-ins; empty where there is none."""
        paths = [f"{folder}/install.conf" for folder in _INSTALL_FOLDERS]
        paths = [path for path in paths if self.host.exists(path)][:1]
        drop_ins: dict[str, str] = {}
        for folder in _INSTALL_FOLDERS:
            for path in self.host.glob(f"{folder}/install.conf.d", "*.conf"):
                drop_ins.setdefault(path.rsplit("/", 1)[1], path)
        paths += [path for _name, path in sorted(drop_ins.items())]
        found = [re.findall(_SETTING.format(name), latin(self.host.read(path) or b"")) for path in paths]
        return next((values[-1] for values in reversed(found) if values), "")

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


def _sources(images: t.Sequence[_Image]) -> list[mkinitcpio.Source | None]:
    """Each source once: a file that a preset names before the files that all lines come from."""
    sources = dict.fromkeys(image.source for image in images)
    return sorted(sources, key=lambda source: (source is not None, source == mkinitcpio.DEFAULT))


def _future(source: mkinitcpio.Source | None, line: str | None) -> list[Entry]:
    name = kernel_install.FUTURE if source is None else f"{kernel_install.FUTURE}, from {source}"
    return [] if line is None else [Entry(name, line)]
