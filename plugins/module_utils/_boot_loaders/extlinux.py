# EXTLINUX and its file format, which U-Boot reads, too; u-boot-menu's generator where it is installed.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# EXTLINUX hands the text after APPEND on as it stands. U-Boot replaces "$" and takes quotes and backslashes off
# (cli_simple_process_macros() of common/cli_simple.c). u-boot-update (package u-boot-menu) writes extlinux.conf from
# shell variables, through an echo that may interpret backslashes.
import re
import typing as t

from .._command import CommandError
from .._command_line import CommandLineError, Parameter, parse, satisfied
from . import kernel_install, shell
from .interface import (
    HEADER,
    BootLoader,
    BootLoaderError,
    Command,
    Entry,
    FileChange,
    Plan,
    changed_line,
    file_change,
    latin,
    latin_output,
)

CONFIGURATIONS = (
    "/boot/extlinux/extlinux.conf",
    "/boot/extlinux.conf",
    "/boot/syslinux/extlinux.conf",
    "/boot/syslinux/syslinux.cfg",
    "/extlinux.conf",
)
_ALPINE = "/etc/update-extlinux.conf"  # Alpine Linux
FUTURE = kernel_install.FUTURE
_STATEMENT = re.compile(r"(?im)^([ \t]*)(label|append|kernel|linux|include|menu[ \t]+include)[ \t]+([^\r\n]*?)[ \t]*$")


class Extlinux(BootLoader):
    """One configuration file, changed in place: every APPEND of an entry that boots Linux."""

    name = "extlinux"

    def detect(self) -> str | None:
        """One of the configuration files, and no generator for it."""
        path = configuration(self)
        return f"{path} exists" if path and not has_generator(self) else None

    def read(self, _parameters: t.Sequence[Parameter] = ()) -> tuple[Entry, ...]:
        """Every label with a kernel."""
        return tuple(Entry(label, line) for label, line in lines(self._text()[1]).items())

    def plan(self, parameters: t.Sequence[Parameter]) -> Plan:
        """Change the APPEND of each label, or the one that stands before all labels."""
        path, text = self._text()
        check_u_boot(self, parameters)
        new = text
        for parameter in parameters:
            new = _with_one(new, parameter)
        after = tuple(Entry(label, line) for label, line in lines(new).items())
        files = file_change(path, text.encode("latin-1"), new)
        if files and self.host.exists(_ALPINE):
            raise BootLoaderError(
                f"{path} is written anew by update-extlinux from {_ALPINE}: this is not supported; set "
                "default_kernel_opts there and run update-extlinux"
            )
        note = f"no program adds kernels to {path}: whoever adds one has to copy its parameters"
        return Plan(files=files, after=after, notes=(note,) if files else ())

    def _text(self) -> tuple[str, str]:
        path = configuration(self)
        if path is None:
            raise BootLoaderError(f"none of {', '.join(CONFIGURATIONS)} exists")
        text = latin(self.host.read(path) or b"")
        if not lines(text):
            raise BootLoaderError(f"{path} has no entry that boots Linux")
        return path, text


class UBootMenu(BootLoader):
    """extlinux.conf as u-boot-update makes it from U_BOOT_PARAMETERS."""

    name = "u-boot-menu"
    settings = "/etc/default/u-boot"
    drop_in = "/etc/u-boot-menu/conf.d/zz-fleet-netconsole.conf"
    configuration = "/boot/extlinux/extlinux.conf"
    _default = "ro quiet"
    _evaluate = """
for file in /etc/default/u-boot /usr/share/u-boot-menu/conf.d/*.conf /etc/u-boot-menu/conf.d/*.conf
do if [ -e "$file" ]; then . "$file" >/dev/null; fi; done
printf '\\001%s\\001%s\\001' "$U_BOOT_PARAMETERS" "$U_BOOT_UPDATE"
"""

    def detect(self) -> str | None:
        """The generator and what it made."""
        if not has_generator(self) or not self.host.exists(self.configuration):
            return None
        return f"{self.configuration} and u-boot-update exist"

    def read(self, parameters: t.Sequence[Parameter] = ()) -> tuple[Entry, ...]:
        """Every label with a kernel, and the line of a kernel that is installed later.

        u-boot-update takes "quiet" out of the recovery entries (those whose label ends in "r").
        """
        text = latin(self.host.read(self.configuration) or b"")
        recovery = tuple(one for one in parameters if one.key != "quiet")
        entries = [Entry(label, line, recovery if label.endswith("r") else None) for label, line in lines(text).items()]
        return (*entries, Entry(FUTURE, self._value()[1]))

    def plan(self, parameters: t.Sequence[Parameter]) -> Plan:
        """Change a drop-in, or /etc/kernel/cmdline where the parameters come from there; then run u-boot-update."""
        check_u_boot(self, parameters)
        for parameter in parameters:
            if parameter.present and "\\" in str(parameter):
                raise CommandLineError(
                    f"{str(parameter)!r}: u-boot-update cannot write a backslash into {self.configuration}"
                )
        source, value = self._value()
        entries = self.read(parameters)
        new = changed_line(value, parameters)
        if new == value and all(
            satisfied(parse(entry.line), parameters if entry.required is None else entry.required) for entry in entries
        ):
            return Plan(after=entries)
        program = self.host.program("u-boot-update")
        if program is None:
            raise BootLoaderError(
                f"u-boot-update is missing, which makes {self.configuration}: install the package u-boot-menu"
            )
        return Plan(
            files=() if new == value else self._change(source, new, parameters),
            commands=(Command((program,), "u-boot-menu"),),
            # u-boot-update leaves the second one behind when it fails.
            generated=(self.configuration, f"{self.configuration}.tmp"),
            after=(*(_expected(entry, value, parameters) for entry in entries[:-1]), Entry(FUTURE, new)),
        )

    def _value(self) -> tuple[str, str]:
        """Where the parameters come from (a file, or none for the default), and their text."""
        try:
            done = self.host.run(["sh", "-c", self._evaluate], package="dash")
        except CommandError as error:
            raise BootLoaderError(str(error)) from error
        parts = latin_output(done.stdout).split("\x01")
        if done.returncode or len(parts) != 4:
            raise BootLoaderError(f"{self.settings} cannot be read by the shell: {done.stderr.strip()}")
        if parts[2] not in ("", "true"):
            raise BootLoaderError(f"u-boot-update is switched off: U_BOOT_UPDATE is {parts[2]!r} in {self.settings}")
        if parts[1]:
            return self.settings, parts[1]
        kernel_line = kernel_install.read_line(self.host) if self.host.exists(kernel_install.FILE) else None
        return ("", self._default) if kernel_line is None else (kernel_install.FILE, kernel_line)

    def _change(self, source: str, new: str, parameters: t.Sequence[Parameter]) -> tuple[FileChange, ...]:
        if source == kernel_install.FILE:
            return kernel_install.change_line(self.host, parameters, template="", needed=True, keep=True).files
        old = self.host.read(self.drop_in)
        base = self._value_without_drop_in()
        if new == base:
            return file_change(self.drop_in, old, None)
        # As long as parameters are only added, later changes of /etc/default/u-boot go on to count.
        added = new.startswith(f"{base} ")
        start = f"${{U_BOOT_PARAMETERS:-{self._default}}}" if added else ""
        value = start + shell.quoted(new[len(base) :] if added else new)
        return file_change(self.drop_in, old, f'{HEADER}U_BOOT_PARAMETERS="{value}"\n')

    def _value_without_drop_in(self) -> str:
        name = self.drop_in.rsplit("/", 1)[1]
        script = self._evaluate.replace('[ -e "$file" ]', f'[ -e "$file" ] && [ "${{file##*/}}" != {name} ]')
        parts = latin_output(self.host.run(["sh", "-c", script], package="dash").stdout).split("\x01")
        return parts[1] or self._default


def configuration(loader: BootLoader) -> str | None:
    """The first configuration file that exists."""
    return next((path for path in CONFIGURATIONS if loader.host.exists(path)), None)


def has_generator(loader: BootLoader) -> bool:
    """Whether the package u-boot-menu is there; its settings stay when its program is missing."""
    return loader.host.program("u-boot-update") is not None or loader.host.exists("/usr/share/u-boot-menu/read-config")


def check_u_boot(loader: BootLoader, parameters: t.Iterable[Parameter]) -> None:
    """Raise CommandLineError for a value that U-Boot would change. EXTLINUX has its ldlinux.sys beside the file."""
    path = configuration(loader) or CONFIGURATIONS[0]
    if loader.host.exists(f"{path.rsplit('/', 1)[0]}/ldlinux.sys"):
        return
    for parameter in parameters:
        found = re.search(r"[$'\\]", str(parameter)) if parameter.present else None
        if found:
            raise CommandLineError(
                f"{str(parameter)!r}: U-Boot does not hand {found.group()!r} on unchanged (and there is no "
                f"ldlinux.sys of EXTLINUX beside {path})"
            )


def lines(text: str) -> dict[str, str]:
    """The kernel command line of each label; one without an APPEND has the one before all labels; "-" is none."""
    found: dict[str, str] = {}
    label, everywhere, kernels = "", "", set()
    for statement in _STATEMENT.finditer(text):
        keyword, value = statement.group(2).lower(), statement.group(3)
        if keyword == "label":
            label = value
        elif keyword in ("kernel", "linux"):
            kernels.add(label)
        elif keyword == "append":
            line = "" if value == "-" else value
            if label:
                found[label] = line
            else:
                everywhere = line
        else:
            raise BootLoaderError(f"the configuration includes another file ({value}): this is not supported")
    labels = [statement.group(3) for statement in _STATEMENT.finditer(text) if statement.group(2).lower() == "label"]
    return {name: found.get(name, everywhere) for name in labels if name in kernels}


def _expected(entry: Entry, value: str, parameters: t.Sequence[Parameter]) -> Entry:
    """Foretold exactly where the entry was made from the value that is changed."""
    required = parameters if entry.required is None else entry.required
    exact = entry.required is None and entry.line.endswith(value)
    rescue = " single" if entry.required is not None and entry.line.endswith(" single") else ""
    line = changed_line(entry.line[: len(entry.line) - len(rescue)], required) + rescue
    return Entry(entry.id, line, entry.required, exact)


def _everywhere(text: str) -> t.Match[str] | None:
    """The APPEND before all labels, which those without one of their own have."""
    for statement in _STATEMENT.finditer(text):
        keyword = statement.group(2).lower()
        if keyword in ("append", "label"):
            return statement if keyword == "append" else None
    return None


def _with_one(text: str, parameter: Parameter) -> str:
    """The file with one parameter in every entry that does not have it as declared."""
    for label in lines(text):
        line = lines(text)[label]
        if not satisfied(parse(line), [parameter]):
            text = _set_append(text, label, changed_line(line, [parameter]))
    return text


def _set_append(text: str, label: str, line: str) -> str:
    """The file with a label's own APPEND."""
    current, at = "", None
    for statement in _STATEMENT.finditer(text):
        keyword = statement.group(2).lower()
        if keyword == "label":
            current = statement.group(3)
        elif current == label and keyword == "append":
            return text[: statement.start(3)] + (line or "-") + text[statement.end(3) :]
        elif current == label:
            at = statement
    everywhere = _everywhere(text)
    if everywhere:
        return text[: everywhere.start(3)] + line + text[everywhere.end(3) :]
    if at is None:
        raise BootLoaderError(f"the entry {label} has no kernel")
    return f"{text[: at.end()]}\n{at.group(1)}append {line or '-'}{text[at.end() :]}"
