# GRUB's settings in /etc/default/grub and its drop-ins: what the generated entries are made from.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# GRUB_CMDLINE_LINUX stands in every entry, GRUB_CMDLINE_LINUX_DEFAULT after it in all but the recovery entries
# (/etc/grub.d/10_linux). New parameters go into the first one, so that a recovery boot has them, too. One that the
# second one already has is left where it is.
import typing as t
from dataclasses import dataclass

from .._command import CommandError
from .._command_line import CommandLine, Parameter, Word, parse, satisfied
from . import grub_script, shell
from .host import Host
from .interface import HEADER, BootLoaderError, FileChange, file_change, latin, latin_output

LINUX = "GRUB_CMDLINE_LINUX"
DEFAULT = "GRUB_CMDLINE_LINUX_DEFAULT"
SETTINGS = "/etc/default/grub"
DROP_INS = "/etc/default/grub.d"
DROP_IN = f"{DROP_INS}/zz-fleet-netconsole.cfg"
_MARK = "\x01"
_PRINT = f'printf \'{_MARK}%s{_MARK}%s{_MARK}\' "${LINUX}" "${DEFAULT}"\n'
_READ_FILES = 'for file in "$@"; do if [ -e "$file" ]; then . "$file" >/dev/null; fi; done\n' + _PRINT
_READ_TEXTS = 'read_text() { eval "$1" >/dev/null; }\nfor text in "$@"; do read_text "$text"; done\n' + _PRINT


@dataclass(frozen=True)
class Settings:
    """The values of both variables, as words of the kernel."""

    linux: tuple[Word, ...]
    default: tuple[Word, ...]

    @property
    def line(self) -> str:
        """What every entry but the recovery ones has after root= and ro."""
        return " ".join(word.text for word in (*self.linux, *self.default))


def read_settings(host: Host, *, drop_ins: bool) -> Settings:
    """The values that the shell gives the variables. Raises BootLoaderError."""
    return _settings(host, [_READ_FILES, "sh", *_files(host, drop_ins=drop_ins)])


def _settings(host: Host, script: t.Sequence[str]) -> Settings:
    try:
        done = host.run(["sh", "-c", *script], package="dash")
    except CommandError as error:
        raise BootLoaderError(str(error)) from error
    parts = latin_output(done.stdout).split(_MARK)
    if done.returncode or len(parts) != 4:
        raise BootLoaderError(f"{SETTINGS} and its drop-ins cannot be read by the shell: {done.stderr.strip()}")
    return Settings(_kernel_words(LINUX, parts[1]), _kernel_words(DEFAULT, parts[2]))


def change_settings(
    host: Host, parameters: t.Sequence[Parameter], *, drop_ins: bool
) -> tuple[Settings, tuple[FileChange, ...]]:
    """The settings with the declared parameters, and the files that have to change for it. Raises BootLoaderError."""
    settings = read_settings(host, drop_ins=drop_ins)
    before = {path: host.read(path) for path in (SETTINGS, DROP_IN, *_files(host, drop_ins=drop_ins))}
    texts = {path: None if content is None else latin(content) for path, content in before.items()}
    target = DROP_IN if drop_ins else SETTINGS
    for parameter in parameters:
        if satisfied(parse(settings.line), [parameter]):
            continue
        if parameter.unique or not parameter.present:
            settings = _remove(settings, texts, parameter)
        if parameter.present:
            if any(word.text == "--" for word in settings.linux):
                raise BootLoaderError(
                    f"{LINUX} has a '--' in it: the kernel gives all that follows to init, and so every new parameter; "
                    f"move it and what follows it to the end of {DEFAULT} first"
                )
            word = grub_script.quote(parameter)
            texts[target] = _append(texts[target], word)
            settings = Settings((*settings.linux, _kernel_word(grub_script.words(word)[0])), settings.default)
    if texts[DROP_IN] is not None and _is_empty(texts[DROP_IN] or ""):
        texts[DROP_IN] = None
    if texts[SETTINGS] is not None:
        texts[SETTINGS] = (texts[SETTINGS] or "").replace(f'{HEADER}{LINUX}="${LINUX}"\n', "")
    changes = [change for path, text in texts.items() for change in file_change(path, before[path], text)]
    if changes:  # a drop-in that comes later may add words, so that the new ones are not the last
        order = [SETTINGS, *sorted(path for path in texts if path != SETTINGS)]
        settings = _settings(host, [_READ_TEXTS, "sh", *(_argument(texts[path] or "") for path in order)])
    return settings, tuple(changes)


def _argument(text: str) -> str:
    """Bytes of a file, each of them one character of the text, as an argument of a program."""
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


def _files(host: Host, *, drop_ins: bool) -> list[str]:
    return [SETTINGS, *(host.glob(DROP_INS, "*.cfg") if drop_ins else [])]


def _kernel_words(variable: str, value: str) -> tuple[Word, ...]:
    try:
        return tuple(_kernel_word(argument) for _first, _last, argument in grub_script.spans(value))
    except grub_script.GrubScriptError as error:
        raise BootLoaderError(f"{variable} in {SETTINGS} or its drop-ins: {error}; quote it first") from error


def _kernel_word(argument: str) -> Word:
    return Word("", grub_script.join([argument]))


def _is_hit(parameter: Parameter, word: Word) -> bool:
    any_value = parameter.present or parameter.value is None
    return word.key == parameter.key and (any_value or word.value == parameter.value)


def _remove(settings: Settings, texts: dict[str, str | None], parameter: Parameter) -> Settings:
    hits = [word for word in (*settings.linux, *settings.default) if _is_hit(parameter, word)]
    if not hits:
        return settings
    removed = 0
    for path, text in texts.items():
        for variable in (LINUX, DEFAULT):
            while text is not None:
                shorter = _remove_one(path, text, variable, parameter)
                if shorter is None:
                    break
                texts[path] = text = shorter
                removed += 1
    if removed < len(hits):
        raise BootLoaderError(
            f"{hits[0].text} is put into {LINUX} or {DEFAULT} by shell code that is no plain assignment: look into "
            f"{', '.join(path for path, text in texts.items() if text is not None)}"
        )
    return Settings(
        tuple(word for word in settings.linux if not _is_hit(parameter, word)),
        tuple(word for word in settings.default if not _is_hit(parameter, word)),
    )


def _remove_one(path: str, text: str, variable: str, parameter: Parameter) -> str | None:
    """The file without the first word that the parameter speaks of, or None when there is none."""
    try:
        for assignment in shell.assignments(text, variable):
            value = assignment.value
            for first, last, argument in grub_script.spans(value):
                if _is_hit(parameter, _kernel_word(argument)):
                    gap = len(value[:first]) - len(value[:first].rstrip(" \t"))
                    if not gap:  # the first word: the blanks after it go
                        last += len(value[last:]) - len(value[last:].lstrip(" \t"))
                    return shell.remove(text, assignment, [(first - gap, last)])
    except (shell.ShellError, grub_script.GrubScriptError) as error:
        raise BootLoaderError(f"{variable} in {path} cannot be changed: {error}") from error
    return None


def _append(text: str | None, word: str) -> str:
    try:
        found = shell.assignments(text or "", LINUX)
    except shell.ShellError as error:
        raise BootLoaderError(f"{LINUX} in {SETTINGS} cannot be changed: {error}") from error
    if found:
        return shell.append(text or "", found[-1], word)
    start = "" if not text or text.endswith("\n") else "\n"
    return f'{text or ""}{start}{HEADER}{LINUX}="${LINUX} {shell.quoted(word)}"\n'


def _is_empty(text: str) -> bool:
    return text.replace(HEADER, "").strip() in ("", f'{LINUX}="${LINUX}"')


def as_line(words: t.Iterable[Word]) -> CommandLine:
    """Words as a command line."""
    return parse(" ".join(word.text for word in words))
