# The sections of a PE file, as far as a unified kernel image needs them read.
#
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

# PE format: the offset of the PE header stands at 0x3c; the COFF header has the number of sections at 2 and the size of
# the optional header at 16; each section header is 40 bytes: name (8), virtual size, address, size of the
# data, its offset.
import struct

_SECTION_SIZE = 40


class PeError(ValueError):
    """Not a PE file, or one that is cut off."""


def section(content: bytes, name: str) -> bytes | None:
    """The data of the first section of that name, without padding; None when there is none."""
    try:
        (header,) = struct.unpack_from("<I", content, 0x3C)
        if content[:2] != b"MZ" or content[header : header + 4] != b"PE\0\0":
            raise PeError("it is no PE file")
        (number,) = struct.unpack_from("<H", content, header + 6)
        (optional_size,) = struct.unpack_from("<H", content, header + 20)
        for index in range(number):
            at = header + 24 + optional_size + index * _SECTION_SIZE
            raw_name, virtual_size, _address, raw_size, offset = struct.unpack_from("<8sIIII", content, at)
            if raw_name.rstrip(b"\0") == name.encode("ascii"):
                if offset + raw_size > len(content):
                    raise PeError(f"its section {name} is cut off")
                return content[offset : offset + min(virtual_size or raw_size, raw_size)]
    except struct.error as error:
        raise PeError("it is cut off") from error
    return None
