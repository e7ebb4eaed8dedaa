# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The attributes that every module of this collection documents. Private to the collection.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and returns what it would change, without changing the host.
  diff_mode:
    description: Returns what was changed, or would be changed in C(check_mode), as a diff.
  idempotent:
    description: A second run with the same options changes nothing, as long as nobody else changed the host.
"""

    ACTIONGROUP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/fleet.netconsole.netconsole) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - fleet.netconsole.netconsole
"""
