# Kernel arguments of image-based systems: rpm-ostree on a running host, bootc in an image that is being built.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# rpm-ostree keeps the line itself: "rpm-ostree kargs" prints that of the next boot. A bootc image has TOML files in
# /usr/lib/bootc/kargs.d, whose lists of strings are put together (bootc-kargs.d(7)).
import json
import re
import typing as t

from .._command import CommandError
from .._command_line import Parameter, Word, change, format_word, parse, satisfied
from .interface import BootLoader, BootLoaderError, Command, Entry, FileChange, Plan, file_change, latin

BOOTED = "/run/ostree-booted"
NEXT_BOOT = "next deployment"
KARGS_FOLDER = "/usr/lib/bootc/kargs.d"
KARGS_FILE = f"{KARGS_FOLDER}/90-fleet-netconsole.toml"
_KARGS = re.compile(r"(?ms)^[ \t]*kargs[ \t]*=[ \t]*(\[.*?\])[ \t]*(?:#[^\n]*)?$")


class RpmOstree(BootLoader):
    """The kernel arguments of the next deployment."""

    name = "rpm-ostree"

    def detect(self) -> str | None:
        """A host that ostree booted, and rpm-ostree on it."""
        if not self.host.exists(BOOTED) or self.host.program("rpm-ostree") is None:
            return None
        return f"{BOOTED} and rpm-ostree exist"

    def read(self, _parameters: t.Sequence[Parameter] = ()) -> tuple[Entry, ...]:
        """What rpm-ostree prints. Later deployments take it over."""
        program = self.host.program("rpm-ostree") or "rpm-ostree"
        try:
            done = self.host.run([program, "kargs"], package="rpm-ostree")
        except CommandError as error:
            raise BootLoaderError(str(error)) from error
        if done.returncode:
            raise BootLoaderError(
                f"'rpm-ostree kargs' failed with exit status {done.returncode}: {done.stderr.strip()}"
            )
        return (Entry(NEXT_BOOT, done.stdout.strip("\n")),)

    def plan(self, parameters: t.Sequence[Parameter]) -> Plan:
        """One call that deletes and appends; a second one with both the other way round takes it back."""
        (entry,) = self.read()
        line = parse(entry.line)
        if satisfied(line, parameters):
            return Plan(after=(entry,))
        removed: list[str] = []
        added: list[str] = []
        for parameter in parameters:
            if satisfied(line, [parameter]):
                continue
            if parameter.unique or not parameter.present:
                removed += [word.text for word in line.words if _is_hit(parameter, word)]
            if parameter.present:
                added.append(format_word(parameter))
        program = self.host.program("rpm-ostree") or "rpm-ostree"
        kept = [word.text for word in line.words if word.text not in removed]
        command = Command(
            (program, "kargs", *_options("delete", removed), *_options("append", added)),
            "rpm-ostree",
            (program, "kargs", *_options("delete", added), *_options("append", removed)),
        )
        return Plan(commands=(command,), after=(Entry(NEXT_BOOT, " ".join([*kept, *added])),))


class Bootc(BootLoader):
    """An image that is being built: a file of kernel arguments."""

    name = "bootc"

    def detect(self) -> str | None:
        """The folder of bootc, on a system that was not booted by ostree."""
        if self.host.exists(BOOTED) or not self.host.is_folder("/usr/lib/bootc"):
            return None
        return "/usr/lib/bootc exists"

    def read(self, _parameters: t.Sequence[Parameter] = ()) -> tuple[Entry, ...]:
        """All files of the folder together."""
        paths = self.host.glob(KARGS_FOLDER, "*.toml")
        return (Entry(KARGS_FOLDER, " ".join(word for path in paths for word in self._words(path))),)

    def plan(self, parameters: t.Sequence[Parameter]) -> Plan:
        """Add to a file of our own; words are removed from whichever file has them."""
        paths = list(dict.fromkeys([*self.host.glob(KARGS_FOLDER, "*.toml"), KARGS_FILE]))
        lists = {path: self._words(path) for path in paths}
        for parameter in parameters:
            line = parse(" ".join(word for words in lists.values() for word in words))
            if satisfied(line, [parameter]):
                continue
            if parameter.unique or not parameter.present:
                lists = {
                    path: [word for word in words if not _is_hit(parameter, Word("", word))]
                    for path, words in lists.items()
                }
            if parameter.present:
                lists[KARGS_FILE] = [*lists[KARGS_FILE], str(change(parse(""), [parameter]))]
        files = [one for path in paths for one in self._file(path, lists[path])]
        return Plan(
            tuple(files), after=(Entry(KARGS_FOLDER, " ".join(word for words in lists.values() for word in words)),)
        )

    def _words(self, path: str) -> list[str]:
        content = self.host.read(path)
        if content is None:
            return []
        found = _KARGS.search(latin(content))
        try:
            words = json.loads(found.group(1)) if found else None
        except ValueError:
            words = None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise BootLoaderError(f'{path} has no plain list kargs = ["…"]: it cannot be read safely')
        return words

    def _file(self, path: str, words: t.Sequence[str]) -> tuple[FileChange, ...]:
        content = self.host.read(path)
        if list(words) == self._words(path):
            return ()
        if path == KARGS_FILE:
            return file_change(path, content, f"kargs = {json.dumps(words)}\n" if words else None)
        text = latin(content or b"")
        return file_change(path, content, _KARGS.sub(lambda dummy: f"kargs = {json.dumps(words)}", text, count=1))


def _is_hit(parameter: Parameter, word: Word) -> bool:
    any_value = parameter.present or parameter.value is None
    return word.key == parameter.key and (any_value or word.value == parameter.value)


def _options(name: str, words: t.Iterable[str]) -> list[str]:
    return [f"--{name}={word}" for word in words]
