#!/bin/sh
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# socat starts this for each datagram, with the sender's address in the environment. One line for store.py, short enough to
# be written in one piece (PIPE_BUF); netconsole sends at most 1000 bytes.
printf '%s %s\n' "$SOCAT_PEERADDR" "$(head -c 2900 | base64 -w 0)"
