#!/bin/sh
# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Print what a sender is, as far as the collection could leave something on it: files, units, modules, kernel settings.
set -u
LC_ALL=C
export LC_ALL

find /etc /usr/local /var/lib /var/spool /lib/systemd /usr/lib/systemd -xdev ! -type d ! -path '/var/lib/systemd/*' \
    ! -path '/var/lib/lab/*' ! -path '/etc/.pwd.lock' -printf '%p %M %u:%g %l\n' | sort
find /etc /usr/local -xdev -type f -exec sha256sum {} + | sort -k 2
find /etc /usr/local /var/lib -xdev -type d ! -path '/var/lib/systemd/*' -printf '%p %M %u:%g\n' | sort
for initrd in /boot/initrd.img-*; do
    echo "$initrd"
    lsinitramfs "$initrd" | sort
done
lsmod | awk '{print $1}' | grep -E '^(netconsole|configfs)$'
cat /proc/sys/kernel/printk /proc/sys/kernel/panic
ls /sys/kernel/config
ls -d /run/netconsole-sender 2>/dev/null || true
