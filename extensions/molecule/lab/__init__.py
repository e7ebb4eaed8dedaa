# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: virtual machines with real Debian kernels and containers, for tests and for the demo.

Standard library only, Python >= 3.9. `guests.py` says which guests there are, `suites.py` which Debian suites they can
run; the other files make it so. Start it as `python3 extensions/molecule/lab --help`.
"""
