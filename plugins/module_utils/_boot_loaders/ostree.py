# Kernel arguments of image-based systems: rpm-ostree on a running host, bootc in an image that is being built.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# rpm-ostree keeps the line itself: "rpm-ostree kargs" prints that of the next boot. A bootc image has TOML files in
# /usr/lib/bootc/kargs.d, whose lists of strings are put together; one with match-architectures counts only there. Both
# put the words as they are into entry files, which GRUB reads as its own language (blscfg) on most machines: they are
# quoted so that the kernel and GRUB read them alike.
import json
import os
import re
import typing as t

from .._command import CommandError
from .._command_line import CommandLine, Parameter, Word, parse, satisfied
from . import grub_script
from .interface import BootLoader, BootLoaderError, Command, Entry, FileChange, Plan, file_change, latin

BOOTED = "/run/ostree-booted"
NEXT_BOOT = "next deployment"
KARGS_FOLDER = "/usr/lib/bootc/kargs.d"
KARGS_FILE = f"{KARGS_FOLDER}/90-fleet-netconsole.toml"
_KARGS = re.compile(r"(?ms)^[ \t]*kargs[ \t]*=[ \t]*(\[.*?\])[ \t]*(?:#[^\n]*)?$")
_ARCHITECTURES = re.compile(r"(?ms)^[ \t]*match-architectures[ \t]*=[ \t]*(\[.*?\])[ \t]*(?:#[^\n]*)?$")
_NAMES_OF_RUST = {"ppc64le": "powerpc64"}  # bootc compares with Rust's name of the machine


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
        """One call that deletes and appends."""
        (entry,) = self.read()
        line = parse(entry.line)
        cut = [word.text for word in line.words if grub_script.is_cut(word.text)]
        foreign = [text for text in cut if not any(Word("", text).key == one.key for one in parameters)]
        notes = (f"GRUB, if it boots this host, ends the line at the unquoted {', '.join(foreign)}",) if foreign else ()
        if all(_is_said(line, one) for one in parameters):
            return Plan(after=(entry,), notes=notes)
        removed: list[str] = []
        added: list[str] = []
        for parameter in parameters:
            if _is_said(line, parameter):
                continue
            removed += [word.text for word in line.words if _goes(parameter, word)]
            if parameter.present:
                added.append(grub_script.quote_for_kernel(parameter))
        if added and line.rest.strip():
            raise BootLoaderError(
                f"the line has {line.rest.strip()!r} at its end, which the kernel gives to init: rpm-ostree adds new "
                "parameters behind it only; take it away first"
            )
        program = self.host.program("rpm-ostree") or "rpm-ostree"
        kept = [word.text for word in line.words if word.text not in removed]
        command = Command((program, "kargs", *_options("delete", removed), *_options("append", added)), "rpm-ostree")
        return Plan(commands=(command,), after=(Entry(NEXT_BOOT, " ".join([*kept, *added])),), notes=notes)

    def undo(self, command: Command, before: t.Sequence[Entry]) -> tuple[str, ...]:
        """The whole line anew, since rpm-ostree appends at the end only, and the order of console= counts."""
        (old,), (new,) = before, self.read()
        if old.line == new.line:
            return ()
        options = [_options(name, _texts(entry.line)) for name, entry in (("delete", new), ("append", old))]
        return (*command.argv[:2], *options[0], *options[1])


class Bootc(BootLoader):
    """An image that is being built: a file of kernel arguments."""

    name = "bootc"

    def detect(self) -> str | None:
        """The folder of bootc, on a system that was not booted by ostree."""
        if self.host.exists(BOOTED) or not self.host.is_folder("/usr/lib/bootc"):
            return None
        return "/usr/lib/bootc exists"

    def read(self, _parameters: t.Sequence[Parameter] = ()) -> tuple[Entry, ...]:
        """All files of the folder together, but those for other machines."""
        paths = self._paths()
        return (Entry(KARGS_FOLDER, " ".join(word for path in paths for word in self._words(path))),)

    def plan(self, parameters: t.Sequence[Parameter]) -> Plan:
        """Add to a file of our own; words are removed from whichever file has them."""
        paths = list(dict.fromkeys([*self._paths(), KARGS_FILE]))
        lists = {path: self._words(path) for path in paths}
        for parameter in parameters:
            line = parse(" ".join(word for words in lists.values() for word in words))
            if _is_said(line, parameter):
                continue
            self._check_single(lists, parameter)
            lists = {path: _without(words, parameter) for path, words in lists.items()}
            if parameter.present:
                # In front of the "--" that gives all that follows it to init.
                path = next((path for path, words in lists.items() if "--" in words), KARGS_FILE)
                at = _end_of_kernel(lists[path])
                lists[path] = [*lists[path][:at], grub_script.quote_for_kernel(parameter), *lists[path][at:]]
        files = [one for path in paths for one in self._file(path, lists[path])]
        return Plan(
            tuple(files), after=(Entry(KARGS_FOLDER, " ".join(word for words in lists.values() for word in words)),)
        )

    def _check_single(self, lists: t.Mapping[str, t.Sequence[str]], parameter: Parameter) -> None:
        for path, words in lists.items():
            for text in words:
                parsed = parse(text).words
                if len(parsed) > 1 and any(_goes(parameter, word) for word in parsed):
                    raise BootLoaderError(f"{path} has several parameters in the one string {text!r}: split it first")

    def _paths(self) -> list[str]:
        """The files that count on this machine, for which the image is built, too."""
        machine = os.uname().machine
        found = []
        for path in self.host.glob(KARGS_FOLDER, "*.toml"):
            text = latin(self.host.read(path) or b"")
            if not _ARCHITECTURES.search(text) or _NAMES_OF_RUST.get(machine, machine) in _list_of(
                path, "match-architectures", _ARCHITECTURES, text
            ):
                found.append(path)
        return found

    def _words(self, path: str) -> list[str]:
        content = self.host.read(path)
        return [] if content is None else _list_of(path, "kargs", _KARGS, latin(content))

    def _file(self, path: str, words: t.Sequence[str]) -> tuple[FileChange, ...]:
        content = self.host.read(path)
        if list(words) == self._words(path):
            return ()
        if path == KARGS_FILE:
            return file_change(path, content, f"kargs = {json.dumps(words, ensure_ascii=False)}\n" if words else None)
        text = latin(content or b"")
        return file_change(
            path, content, _KARGS.sub(lambda dummy: f"kargs = {json.dumps(words, ensure_ascii=False)}", text, count=1)
        )


def _list_of(path: str, name: str, pattern: t.Pattern[str], text: str) -> list[str]:
    found = pattern.search(text)
    try:
        words = json.loads(found.group(1)) if found else None
    except ValueError:
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise BootLoaderError(f'{path} has no plain list {name} = ["…"]: it cannot be read safely')
    return words


def _is_said(line: CommandLine, parameter: Parameter) -> bool:
    """Whether the line says what is declared, to the kernel and through GRUB."""
    same = (word for word in line.words if parameter.present and word.key == parameter.key)
    return satisfied(line, [parameter]) and not any(
        grub_script.is_cut(word.text) for word in same if parameter.unique or word.value == parameter.value
    )


def _goes(parameter: Parameter, word: Word) -> bool:
    """Whether a word makes room for what is declared; one that says it already, for a better quoted one."""
    any_value = parameter.unique if parameter.present else parameter.value is None
    return word.key == parameter.key and (any_value or word.value == parameter.value)


def _texts(line: str) -> list[str]:
    return [word.text for word in parse(line).words]


def _end_of_kernel(words: t.Sequence[str]) -> int:
    """Where the "--" stands that gives all that follows it to init; else the end."""
    return [*words, "--"].index("--")


def _without(words: t.Sequence[str], parameter: Parameter) -> list[str]:
    end = _end_of_kernel(words)
    return [word for number, word in enumerate(words) if number >= end or not _goes(parameter, Word("", word))]


def _options(name: str, words: t.Iterable[str]) -> list[str]:
    return [f"--{name}={word}" for word in words]
