# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine as one file that a host can run: a zip application of the very sources that this run was made of.

Sources and byte code lie side by side in it. Python takes the byte code if it is of its own version, and compiles the
sources otherwise. The byte code of equal sources can differ, so equality is told by a digest in the second line.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import marshal
import pkgutil
import re
import zipfile
from typing import Callable, Mapping

PACKAGE = "netconsole_sender"
MAIN = "_sender_main"
_IMPORT = re.compile(r"^from \.(_\w+) import", re.MULTILINE)
_SHEBANG = b"#!/usr/bin/python3 -IS\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNCHECKED_HASH = (1).to_bytes(4, "little") + bytes(8)  # PEP 552: byte code that is never compared with its source

Source = Callable[[str], str]


class ArchiveError(Exception):
    """The engine's own sources cannot be read where this module runs."""


def own_source(name: str) -> str:
    """The source of a file of this folder, wherever it was imported from. Raises ArchiveError."""
    data = pkgutil.get_data(__name__, f"{name}.py")
    if data is None:
        raise ArchiveError(f"the source of {name} is not there: run the module as Ansible sends it")
    return data.decode("utf-8")


def engine_sources(source: Source = own_source) -> dict[str, str]:
    """What the command line needs of the engine, by file name, following the imports."""
    found: dict[str, str] = {}
    waiting = [MAIN]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = source(name)
            waiting.extend(_IMPORT.findall(found[name]))
    return dict(sorted(found.items()))


def digest(sources: Mapping[str, str]) -> str:
    """What tells two archives apart: the sources, and the Python that the byte code is for."""
    whole = hashlib.sha256(importlib.util.MAGIC_NUMBER)
    for name, text in sorted(sources.items()):
        whole.update(f"{name}\0{text}\0".encode())
    return whole.hexdigest()


def archive(sources: Mapping[str, str]) -> bytes:
    """The zip application. ``python3 -I -S FILE`` and, where /usr/bin/python3 is there, FILE itself run it."""
    version = digest(sources)
    texts = {f"{PACKAGE}/{name}": text for name, text in sources.items()}
    texts[f"{PACKAGE}/__init__"] = ""
    texts["__main__"] = (
        f"import sys\nfrom {PACKAGE}.{MAIN} import main\nsys.exit(main(sys.argv[1:], version={version!r}))\n"
    )
    memory = io.BytesIO()
    memory.write(_SHEBANG + f"# {version}\n".encode())
    with zipfile.ZipFile(memory, "a", zipfile.ZIP_STORED) as packed:
        for path, text in sorted(texts.items()):
            code = compile(text, f"{path}.py", "exec", dont_inherit=True)
            packed.writestr(_entry(f"{path}.py"), text)
            packed.writestr(_entry(f"{path}.pyc"), importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + marshal.dumps(code))
    return memory.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.compress_type = zipfile.ZIP_STORED
    entry.external_attr = 0o644 << 16
    return entry


def archived_digest(content: bytes) -> str | None:
    """The digest of a whole archive; ``None`` for anything else, a damaged archive included."""
    if not content.startswith(_SHEBANG):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if packed.testzip() is not None:
                return None
    except (zipfile.BadZipFile, EOFError, ValueError, zipfile.zlib.error):  # type: ignore[attr-defined]
        return None
    line = content[len(_SHEBANG) :].split(b"\n", 1)[0]
    return line[2:].decode("ascii", "replace")
