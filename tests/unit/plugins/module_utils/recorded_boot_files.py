# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files and outputs of boot loaders' programs that Debian does not have, with the place that each one comes from.

Those of machines were shown in public issues, as the people who wrote them pasted them. Those of grubby were recorded
here: its script was run in an isolated root folder on files that the engine had written.
"""

from __future__ import annotations

# Fedora 40 and 41: https://github.com/acidanthera/bugtracker/issues/2440
FEDORA_40 = """title Fedora Linux (6.11.5-200.fc40.x86_64) 40 (Workstation Edition)
version 6.11.5-200.fc40.x86_64
linux /vmlinuz-6.11.5-200.fc40.x86_64
initrd /initramfs-6.11.5-200.fc40.x86_64.img
options root=UUID=f05a35ff-a897-4f55-ac04-5fcdf6db4dbf ro rootflags=subvol=root rhgb quiet
grub_users $grub_users
grub_arg --unrestricted
grub_class fedora
"""
FEDORA_41 = """title Fedora Linux (6.11.5-300.fc41.x86_64) 41 (Workstation Edition)
version 6.11.5-300.fc41.x86_64
linux /vmlinuz-6.11.5-300.fc41.x86_64
initrd /initramfs-6.11.5-300.fc41.x86_64.img $tuned_initrd
options root=UUID=f05a35ff-a897-4f55-ac04-5fcdf6db4dbf ro rootflags=subvol=root rhgb quiet $tuned_params
grub_users $grub_users
grub_arg --unrestricted
grub_class fedora
"""
FEDORA_LINE = "root=UUID=f05a35ff-a897-4f55-ac04-5fcdf6db4dbf ro rootflags=subvol=root rhgb quiet"

# RHEL 8.0: https://github.com/RedHatInsights/insights-core/issues/2139
RHEL_8 = """title Red Hat Enterprise Linux (4.18.0-80.7.2.el8_0.x86_64) 8.0 (Ootpa)
version 4.18.0-80.7.2.el8_0.x86_64
linux /vmlinuz-4.18.0-80.7.2.el8_0.x86_64
initrd /initramfs-4.18.0-80.7.2.el8_0.x86_64.img $tuned_initrd
options $kernelopts $tuned_params
id rhel-20190726105706-4.18.0-80.7.2.el8_0.x86_64
grub_users $grub_users
grub_arg --unrestricted
grub_class kernel
"""
# CentOS 8, "grub2-editenv - list": https://github.com/voxpupuli/puppet-augeasproviders_grub/issues/58
CENTOS_8_GRUBENV = (
    "saved_entry=72ee326dc9ff4092ab35d066fbbf02c5-4.18.0-147.8.1.el8_1.x86_64\n"
    "kernelopts=root=UUID=8dd1149a-2dab-4b33-b554-42890f94d1b1 ro console=ttyS0,115200 console=tty0 rd.auto "
    "net.ifnames=0 crashkernel=auto rhgb quiet\n"
)

# Fedora 30 of s390x: https://github.com/ibm-s390-linux/s390-tools/issues/70
FEDORA_30_ZIPL = "[defaultboot]\ndefaultauto\nprompt=1\ntimeout=5\ntarget=/boot\n"

# Kernel arguments of a Fedora 39 with an image, as a user listed them (no output of a program), with what was left out:
# https://github.com/secureblue/secureblue/issues/215
RPM_OSTREE = "rd.luks.uuid=luks-... rhgb quiet root=UUID=... rootflags=subvol=root rw mitigations=auto,nosmt"
# What "rpm-ostree kargs" prints after --append of the same word: tests/kolainst/destructive/container-rebase-upgrade of
# coreos/rpm-ostree, d5ef5f0.
RPM_OSTREE_QUOTED = 'foo="a b c"'

# Files of kargs.d: hack/test-kargs and docs/src/building/kernel-arguments.md of containers/bootc, 8e2cf08.
BOOTC = {
    "10-test.toml": 'kargs = ["kargsd-test=1", "kargsd-othertest=2"]\n',
    "20-test2.toml": 'kargs = ["testing-kargsd=3"]\n',
    "00-console.toml": 'kargs = ["console=ttyS0,114800n8"]\nmatch-architectures = ["x86_64"]\n',
}

# grubby 8.40-48.el8 and 8.40-63.el9: SOURCES/grubby-bls of openela-main/grubby, commits 7a83ee2 and cbbcf02, run by
# bash 5.2 with grub-editenv 2.12 as grub2-editenv and "sort -V" as its rpm-sort, on an entry with GRUBBY_OPTIONS, with
# GRUBBY_LINE in kernelopts (el8) and /etc/kernel/cmdline, and with GRUB_CMDLINE_LINUX="rhgb quiet". The engine had set
# GRUBBY_PARAMETERS before.
GRUBBY_LINE = "root=/dev/mapper/rhel-root ro rhgb quiet"
GRUBBY_OPTIONS = {"el8": "$kernelopts $tuned_params", "el9": f"{GRUBBY_LINE} $tuned_params"}
GRUBBY_PARAMETERS = (
    ("netconsole", "+@/eth0,@192.0.2.1/;+@/eth0,@192.0.2.2/", True),
    ("dyndbg", "file drivers/net/* +p; module x +p", True),
    ("console", "tty0", False),
    ("console", "ttyS9,115200", False),
    ("bare-word", None, True),
)
_SET = (
    'netconsole="+@/eth0,@192.0.2.1/;+@/eth0,@192.0.2.2/" "dyndbg=file drivers/net/* +p; module x +p" console=tty0 '
    "console=ttyS9,115200 bare-word"
)
_SET_IN_SETTINGS = (
    "'netconsole=+@/eth0,@192.0.2.1/;+@/eth0,@192.0.2.2/' 'dyndbg=file drivers/net/* +p; module x +p' console=tty0 "
    "console=ttyS9,115200 bare-word"
)
# The row args= of "grubby --info=ALL".
GRUBBY_INFO = {
    "el8": f'args="ro rhgb quiet {_SET} $tuned_params"',
    "el9": f'args="ro rhgb quiet $tuned_params {_SET}"',
}
# After "grubby --update-kernel=ALL --args=panic=10": the row that each file has then.
GRUBBY_ADDED = {
    "el8": {
        "entry": "options $kernelopts $tuned_params",
        "/boot/grub2/grubenv": f"kernelopts={GRUBBY_LINE} {_SET} panic=10",
        "/etc/kernel/cmdline": f"{GRUBBY_LINE} {_SET} panic=10",
        "/etc/default/grub": f'GRUB_CMDLINE_LINUX="rhgb quiet {_SET_IN_SETTINGS} panic=10"',
    },
    "el9": {
        "entry": f"options {GRUBBY_LINE} $tuned_params {_SET} panic=10",
        "/etc/kernel/cmdline": f"{GRUBBY_LINE} {_SET} panic=10",
        "/etc/default/grub": f'GRUB_CMDLINE_LINUX="rhgb quiet {_SET_IN_SETTINGS} panic=10"',
    },
}
# The entry's row after further calls of el9, one after the other: what each option left. The reasons why the engine
# writes the files itself: --args deletes every console=, and words with blanks or a value are not found. So the last
# option leaves the row of the one before it.
GRUBBY_LOSES = {
    "--args=console=hvc0": f"options {GRUBBY_LINE} $tuned_params {_SET} console=hvc0".replace(
        " console=tty0 console=ttyS9,115200", ""
    ),
    "--remove-args=netconsole": (
        f'options {GRUBBY_LINE} $tuned_params "dyndbg=file drivers/net/* +p; module x +p" bare-word console=hvc0'
    ),
    "--remove-args=dyndbg": (
        f'options {GRUBBY_LINE} $tuned_params "dyndbg=file drivers/net/* +p; module x +p" bare-word console=hvc0'
    ),
}

# mkinitcpio 41: the functions want_file, uki_init, uki_add_section, uki_assemble and build_uki of archlinux/mkinitcpio,
# commit fc8137c, run by bash 5.2 with GNU coreutils 9.1 and a ukify that keeps what it is given as --cmdline=@FILE:
# files below /etc, mkinitcpio's --cmdline, and the section .cmdline.
MKINITCPIO: tuple[tuple[dict[str, str], str, str], ...] = (
    (
        {
            "kernel/cmdline": "root=/dev/vda2 ro\n# quiet\nrw\n",
            "cmdline.d/10.conf": "  a=1  b\n\n #c\n",
            "cmdline.d/9.conf": "x",
            "cmdline.d/sub/1.conf": "sub=1\n",
            "cmdline.d/readme": "no\n",
            "cmdline.d/.h.conf": "hidden=1\n",
        },
        "",
        "root=/dev/vda2 ro rw hidden=1 x a=1 b #c sub=1 \n\0",
    ),
    (
        {
            "cmdline.d/a.conf": "root=/dev/vda2\n",
            "cmdline.d/a.b.conf": "b\n",
            "cmdline.d/a~.conf": "c\n",
            "cmdline.d/A.conf": "d\n",
            "cmdline.d/a-1.conf": "e\n",
            "cmdline.d/a10.conf": "f\n",
            "cmdline.d/a9.conf": "g\n",
            "cmdline.d/a_.conf": "h\n",
        },
        "",
        "d c b root=/dev/vda2 g f e h \n\0",
    ),
    (
        {"kernel/cmdline": "ro\n", "cmdline.d/a.conf": 'q="a  b"\ttab\n'},
        "/etc/cmdline.d",
        'q="a b"\ttab \n\0',
    ),
    ({"kernel/cmdline": "ro\nquiet\n", "cmdline.d/a.conf": "no\n"}, "/etc/kernel/cmdline", "ro quiet \n\0"),
    (
        {"cmdline.d/a.conf": 'x="a;b  c" d=a\\b\\n e=$x f=%s\n'},
        "",
        'x="a;b c" d=a\\b\\n e=$x f=%s \n\0',
    ),
    ({"kernel/cmdline": "# only\n", "cmdline.d/a.conf": "ro"}, "", "ro \n\0"),
)
# The same with /etc/cmdline.d/a1.conf and a01.conf: only one of them was taken.

# process_preset of the same: a preset, and for each of its images the path and what it is given as --cmdline.
MKINITCPIO_PRESETS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "PRESETS=('default' 'fallback')\ndefault_uki=\"/efi/EFI/Linux/a.efi\"\n"
        'fallback_uki="/efi/EFI/Linux/f.efi"\nfallback_options="-S autodetect"\n',
        (("/efi/EFI/Linux/a.efi", ""), ("/efi/EFI/Linux/f.efi", "")),
    ),
    (
        'esp=/efi\nPRESETS=(default) # one\nPRESETS+=(\n  "fallback" # (two)\n)\ndefault_uki="$esp/EFI/Linux/a.efi"\n'
        'default_image="/boot/initramfs-$(echo 1).img"\nfallback_image=/boot/fallback.img\n',
        (("/efi/EFI/Linux/a.efi", ""),),
    ),
    (
        "ALL_cmdline=/etc/kernel/all\nPRESETS=(default fallback)\ndefault_uki=/efi/a.efi\n"
        "default_cmdline=/etc/kernel/own\nfallback_efi_image=/efi/f.efi\n",
        (("/efi/a.efi", "/etc/kernel/own"), ("/efi/f.efi", "/etc/kernel/all")),
    ),
    ("PRESETS=(default)\ndefault_uki=\ndefault_efi_image=/efi/a.efi\ndefault_image=/boot/a.img\n", ()),
    (
        'PRESETS=(default fallback)\ndefault_uki=/efi/a.efi\ndefault_options="--cmdline /etc/kernel/fb"\n'
        'default_options+=" -S autodetect"\nfallback_uki=/efi/f.efi\n'
        'fallback_options=(-S autodetect --cmdline "/etc/kernel/a b")\n',
        (("/efi/a.efi", "/etc/kernel/fb"), ("/efi/f.efi", "/etc/kernel/a b")),
    ),
    (
        'PRESETS=(default fallback)\ndefault_uki=/efi/a.efi\ndefault_options="--no-cmdline"\n'
        'fallback_options="-U /efi/f.efi --cmdline=/etc/cmdline.d"\nfallback_image=/boot/f.img\n',
        (("/efi/a.efi", "--no-cmdline"), ("/efi/f.efi", "/etc/cmdline.d")),
    ),
    (
        "PRESETS=(default)\ndefault_uki=/efi/a.efi\nif true; then default_cmdline=/etc/kernel/if; fi\n"
        "default_options=\"--cmdline '/etc/x'\"\n",
        (("/efi/a.efi", "'/etc/x'"),),
    ),
)
