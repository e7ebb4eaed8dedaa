# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host below a folder of the test: real files, a real shell, and imitations of the boot loaders' programs.

An imitation does what its package's program does with the same files; each one names it. The real programs run in the
scenario boot_loaders and in tests/boot_tools.
"""

from __future__ import annotations

import os
import re
import subprocess

from ansible_collections.fleet.netconsole.plugins.module_utils._boot_loaders.host import Host
from ansible_collections.fleet.netconsole.plugins.module_utils._command import CompletedCommand

KERNELS = ("6.12.1", "6.12.2")
# What the real shell answered (status, output, errors), by its words and the files that they can be about.
SHELL_SAID: dict[tuple[object, ...], tuple[int, str, str]] = {}


class FakeBootHost(Host):
    """Programs are functions of the test by name; any other program is an error of the test."""

    def __init__(self, root, programs=None):
        super().__init__(str(root))
        self.programs = dict(programs or {})
        self.commands = []
        for name in self.programs:
            self.put(f"/usr/sbin/{name}", "", mode=0o755)

    def put(self, path, content, mode=0o644):
        real = self.real(path)
        os.makedirs(os.path.dirname(real), exist_ok=True)
        with open(real, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode("latin-1"))
        os.chmod(real, mode)

    def text(self, path):
        content = self.read(path)
        return None if content is None else content.decode("latin-1")

    def tree(self, top=""):
        """Every file below the root, or below one folder of it, and its content, to compare before and after."""
        paths = (f"{folder}/{name}" for folder, _folders, names in os.walk(f"{self.root}/{top}") for name in names)
        return {path[len(self.root) :].lstrip("/"): self.read(path[len(self.root) :]) for path in sorted(paths)}

    def run(self, argv, *, package):
        if argv[0] in ("sh", "bash"):
            return self.shell(argv)
        self.commands.append(list(argv))
        result = self.programs[os.path.basename(argv[0])](self, list(argv))
        return CompletedCommand(*result) if result else CompletedCommand(0, "", "")

    def shell(self, argv):
        """The real shell, with the host's folders below the root. It is asked once about the same files."""
        question = (
            *argv,
            *self.tree("etc").items(),
            *self.tree("usr/share").items(),
            *self.tree("usr/lib/kernel").items(),
        )
        if question not in SHELL_SAID:
            moved = [re.sub(r"(?<![\w}.])/(etc|usr/share|usr/lib/kernel)\b", rf"{self.root}/\1", part) for part in argv]
            done = subprocess.run(moved, capture_output=True, check=False)
            out, err = (
                text.decode("utf-8", "replace").replace(self.root, "ROOT") for text in (done.stdout, done.stderr)
            )
            SHELL_SAID[question] = (done.returncode, out, err)
        status, out, err = SHELL_SAID[question]
        return CompletedCommand(status, out.replace("ROOT", self.root), err.replace("ROOT", self.root))


class RunningBootHost(FakeBootHost):
    """Files below the same folder, as those of the running system."""

    is_running = True

    def real(self, path):
        return FakeBootHost(self.root).real(path)


def update_grub(host, argv):
    """grub-mkconfig with /etc/grub.d/10_linux of Debian's grub-common 2.12, for KERNELS."""
    files = ["/etc/default/grub", *host.glob("/etc/default/grub.d", "*.cfg")]
    if "grub2" in argv[0]:
        files = files[:1]
    script = (
        'for f in "$@"; do if [ -e "$f" ]; then . "$f"; fi; done; '
        'printf \'%s\\n%s\\n\' "$GRUB_CMDLINE_LINUX" "$GRUB_CMDLINE_LINUX_DEFAULT"'
    )
    linux, default = host.shell(["sh", "-c", script, "sh", *files]).stdout.encode().decode("latin-1").split("\n")[:2]
    rows = ["### BEGIN /etc/grub.d/00_header ###", "set timeout=5", "### END /etc/grub.d/00_header ###"]
    rows += ["### BEGIN /etc/grub.d/10_linux ###"]
    for number, kernel in enumerate(reversed(KERNELS)):
        if not number:
            rows += _entry("Debian GNU/Linux", "gnulinux-simple-1", kernel, f"{linux} {default}")
            rows += ["submenu 'Advanced options' $menuentry_id_option 'gnulinux-advanced-1' {"]
        rows += _entry(f"with {kernel}", f"gnulinux-{kernel}-advanced-1", kernel, f"{linux} {default}")
        rows += _entry(f"with {kernel} (recovery)", f"gnulinux-{kernel}-recovery-1", kernel, f"single {linux}")
    rows += ["}", "### END /etc/grub.d/10_linux ###", "### BEGIN /etc/grub.d/20_memtest ###"]
    rows += ["menuentry 'memtest' {", "\tlinux /boot/memtest.bin console=ttyS0", "}"]
    host.put("/boot/grub2/grub.cfg" if "grub2" in argv[0] else "/boot/grub/grub.cfg", "\n".join(rows) + "\n")


def _entry(title, name, kernel, arguments):
    return [
        f"menuentry '{title}' --class gnu-linux $menuentry_id_option '{name}' {{",
        f"\techo\t'Loading Linux {kernel} ...'",
        f"\tlinux\t/boot/vmlinuz-{kernel} root=UUID=1234 ro {arguments}",
        f"\tinitrd\t/boot/initrd.img-{kernel}",
        "}",
    ]


def u_boot_update(host, argv):
    """u-boot-update of Debian's u-boot-menu 4.2.4, for KERNELS."""
    script = """
for f in /etc/default/u-boot /usr/share/u-boot-menu/conf.d/*.conf /etc/u-boot-menu/conf.d/*.conf; do
if [ -e "$f" ]; then . "$f"; fi; done
if [ -z "$U_BOOT_PARAMETERS" ] && [ -f /etc/kernel/cmdline ]; then
U_BOOT_PARAMETERS="$(cat /etc/kernel/cmdline | sed -e 's/root=[^[:space:]]*//' -e 's/^[[:space:]]*//')"; fi
U_BOOT_PARAMETERS="${U_BOOT_PARAMETERS:-ro quiet}"
printf '%s\\n' "$U_BOOT_PARAMETERS"
printf '%s\\n' "$(echo "${U_BOOT_PARAMETERS}" | sed -e 's| quiet||')"
"""
    value, recovery = host.shell(["sh", "-c", script]).stdout.encode().decode("latin-1").split("\n")[:2]
    rows = ["default l0", "menu title U-Boot menu", "prompt 1", "timeout 50", ""]
    for number, kernel in enumerate(reversed(KERNELS)):
        for suffix, line in (("", value), ("r", f"{recovery} single")):
            rows += ["", f"label l{number}{suffix}", f"\tmenu label Debian {kernel}", f"\tlinux /boot/vmlinuz-{kernel}"]
            rows += [f"\tinitrd /boot/initrd.img-{kernel}", "\t", f"\tappend root=/dev/vda1 {line}"]
    host.put("/boot/extlinux/extlinux.conf", "\n".join(rows) + "\n")


def kernel_install(host, argv):
    """kernel-install of systemd 257 with layout=uki and ukify (60-ukify.install)."""
    _program, verb, version, _kernel = argv
    assert verb == "add"
    line = " ".join((host.text("/etc/kernel/cmdline") or "").split())
    if "systemd.machine_id=" not in line:
        line += " systemd.machine_id=0123abcd"
    host.put(f"/boot/efi/EFI/Linux/token-{version}.efi", uki(f" {line}"))


def mkinitcpio(host, argv):
    """mkinitcpio 41 (process_preset, build_uki) for one preset; recorded_boot_files.MKINITCPIO has what it answered."""
    _program, option, name = argv
    assert option == "-p"
    preset = host.text(f"/etc/mkinitcpio.d/{name}.preset")
    for image in re.findall(r"(?m)^(\w+)_uki=", preset):
        (path,) = re.findall(rf'(?m)^{image}_uki="(.*)"', preset)
        options = re.findall(rf'(?m)^{image}_options="(?:.* )?--cmdline ([^"\s]+)', preset)
        host.put(path, uki(line_of_mkinitcpio(host, *options)))
    for path in re.findall(r'(?m)^\w+_image="(.*)"', preset):
        host.put(path, "an initramfs")


def line_of_mkinitcpio(host, cmdline=""):
    """The section .cmdline of build_uki."""
    files, folder = [], "/etc/cmdline.d"
    if cmdline and host.is_folder(cmdline):
        folder = cmdline
    elif cmdline:
        files, folder = [cmdline], ""
    else:
        files = [path for path in ("/etc/kernel/cmdline", "/usr/lib/kernel/cmdline") if host.exists(path)][:1]
    if folder and host.is_folder(folder):
        script = "find \"$1\" -xtype f -name '*.conf' | LC_ALL=C.UTF-8 sort -Vu"
        found = host.shell(["sh", "-c", script, "sh", folder]).stdout.split("\n")[:-1]
        files += [path[len(host.root) :] for path in found]
    assert files, "the running kernel's line"
    script = "grep -ha -- '^[^#]' \"$@\" | tr -s '\\n' ' '"
    return host.shell(["sh", "-c", script, "sh", *files]).stdout + "\n\0"


def uki(line):
    """The smallest PE file with the sections .osrel and .cmdline."""
    sections = [(b".osrel", b"ID=debian\n"), (b".cmdline", line.encode("latin-1"))]
    header = b"MZ" + bytes(0x3A) + (0x40).to_bytes(4, "little")
    header += b"PE\0\0" + b"\x64\x86" + len(sections).to_bytes(2, "little") + bytes(12) + bytes(2) + bytes(2)
    offset, table, data = len(header) + 40 * len(sections), b"", b""
    for name, content in sections:
        padded = content + bytes(-len(content) % 512)
        fields = (len(content), 0x1000, len(padded), offset + len(data))
        table += name.ljust(8, b"\0") + b"".join(number.to_bytes(4, "little") for number in fields) + bytes(16)
        data += padded
    return header + table + data


def grub_machine(root):
    """Debian with GRUB and two kernels."""
    host = FakeBootHost(root, {"update-grub": update_grub})
    host.put("/etc/default/grub", 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n')
    update_grub(host, ["update-grub"])
    return host


def suse_machine(root):
    """SUSE: other paths, no drop-ins."""
    host = FakeBootHost(root, {"grub2-mkconfig": update_grub})
    host.put("/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT='splash=silent quiet'\nGRUB_CMDLINE_LINUX=\"\"\n")
    update_grub(host, ["grub2-mkconfig"])
    return host


def systemd_boot_machine(root):
    """Two entries and /etc/kernel/cmdline."""
    host = FakeBootHost(root)
    host.put("/boot/efi/EFI/systemd/systemd-bootx64.efi", "")
    for kernel in KERNELS:
        host.put(
            f"/boot/efi/loader/entries/token-{kernel}.conf",
            f"title      Debian\nversion    {kernel}\noptions    root=/dev/vda2 ro quiet\n"
            f"linux      /token/{kernel}/linux\n",
        )
    host.put("/etc/kernel/cmdline", "root=/dev/vda2 ro quiet\n")
    return host


def uki_machine(root):
    """Two unified kernel images."""
    host = FakeBootHost(root, {"kernel-install": kernel_install, "ukify": None})
    host.put("/etc/kernel/cmdline", "root=/dev/vda2 ro quiet\n")
    host.put("/etc/kernel/install.conf", "layout=uki\n")
    for kernel in KERNELS:
        host.put(f"/usr/lib/modules/{kernel}/vmlinuz", "")
        kernel_install(host, ["kernel-install", "add", kernel, ""])
    return host


def mkinitcpio_machine(root):
    """Arch Linux: the two images of a preset; one has a line of its own, the other's is in a file and drop-ins."""
    host = FakeBootHost(root, {"mkinitcpio": mkinitcpio})
    host.put("/etc/kernel/cmdline", "# the root file system\nroot=/dev/vda2 ro\n")
    host.put("/etc/kernel/fallback", "root=/dev/vda2 ro quiet single\n")
    host.put("/etc/cmdline.d/console.conf", "quiet\n")
    host.put(
        "/etc/mkinitcpio.d/linux.preset",
        "ALL_kver=\"/boot/vmlinuz-linux\"\nPRESETS=('default' 'fallback')\n#default_image=\"/boot/no.img\"\n"
        'default_uki="/boot/efi/EFI/Linux/arch-linux.efi"\ndefault_image="/boot/initramfs-linux.img"\n'
        'fallback_uki="/boot/efi/EFI/Linux/arch-linux-fallback.efi"\n'
        'fallback_options="-S autodetect --cmdline /etc/kernel/fallback"\n',
    )
    mkinitcpio(host, ["mkinitcpio", "-p", "linux"])
    return host


def u_boot_machine(root):
    """u-boot-menu, booted by EXTLINUX."""
    host = FakeBootHost(root, {"u-boot-update": u_boot_update})
    host.put("/etc/default/u-boot", '#U_BOOT_PARAMETERS="ro quiet"\n')
    host.put("/boot/extlinux/ldlinux.sys", "")
    u_boot_update(host, [])
    return host


def extlinux_machine(root):
    """A configuration written by hand, with an APPEND for all."""
    host = FakeBootHost(root)
    host.put("/boot/extlinux/ldlinux.sys", "")
    host.put(
        "/boot/extlinux/extlinux.conf",
        "DEFAULT linux\nAPPEND root=/dev/vda1 ro quiet\nLABEL linux\n  KERNEL /vmlinuz\n  INITRD /initrd.img\n"
        "LABEL other\n  LINUX /vmlinuz.old\n  APPEND root=/dev/vda1 ro quiet\n",
    )
    return host


def bls_machine(root):
    """Fedora 40 and RHEL 9: entry files, GRUB_CMDLINE_LINUX and /etc/kernel/cmdline say the same."""
    host = FakeBootHost(root)
    host.put("/boot/grub2/grub.cfg", "blscfg\n")
    host.put("/boot/grub2/grubenv", "# GRUB Environment Block\ntuned_params=skew_tick=1\n".ljust(1024, "#"))
    host.put("/etc/default/grub", 'GRUB_CMDLINE_LINUX="rhgb quiet"\nGRUB_ENABLE_BLSCFG=true\n')
    host.put("/etc/kernel/cmdline", "root=/dev/vda2 ro rhgb quiet\n")
    for kernel in KERNELS:
        host.put(
            f"/boot/loader/entries/id-{kernel}.conf",
            f"title Fedora\nversion {kernel}\nlinux /vmlinuz-{kernel}\n"
            "options root=/dev/vda2 ro rhgb quiet $tuned_params\ngrub_users $grub_users\n",
        )
    return host


def bls8_machine(root):
    """RHEL 8: the entries have $kernelopts of grubenv."""
    host = FakeBootHost(root)
    host.put("/boot/grub2/grub.cfg", "blscfg\n")
    environment = "# GRUB Environment Block\nsaved_entry=id-1\nkernelopts=root=/dev/vda2 ro quiet\nboot_success=0\n"
    host.put("/boot/grub2/grubenv", environment.ljust(1024, "#"))
    host.put("/etc/default/grub", 'GRUB_CMDLINE_LINUX="quiet"\nGRUB_ENABLE_BLSCFG=true\n')
    host.put("/boot/loader/entries/id-1.conf", "title RHEL\nlinux /vmlinuz-1\noptions $kernelopts $tuned_params\n")
    return host


def raspberry_pi_machine(root):
    """Raspberry Pi OS from Debian 12 on; in /boot a note."""
    host = FakeBootHost(root)
    host.put("/boot/cmdline.txt", "DO NOT EDIT THIS FILE\n\nThe file you are looking for has moved\n")
    host.put("/boot/firmware/config.txt", "arm_64bit=1\n")
    host.put("/boot/firmware/cmdline.txt", "console=serial0,115200 root=PARTUUID=1-02 rootwait quiet\n")
    return host


def raspbian_machine(root):
    """Raspberry Pi OS up to Debian 11: the firmware's partition is /boot."""
    host = FakeBootHost(root)
    host.put("/boot/config.txt", "arm_64bit=1\n")
    host.put("/boot/cmdline.txt", "console=serial0,115200 root=PARTUUID=1-02 rootwait quiet\n")
    return host


def raspi_firmware_machine(root):
    """Debian's package raspi-firmware."""
    host = FakeBootHost(root)
    host.put("/etc/default/raspi-firmware", "#CMA=64M\n")
    host.put("/boot/firmware/config.txt", "enable_uart=1\n")
    host.put("/boot/firmware/cmdline.txt", "console=tty1 root=/dev/mmcblk0p2 rw net.ifnames=0 cma=64M rootwait \n")
    return host


def rpm_ostree(host, argv):
    """rpm-ostree kargs: --delete takes one word, --append adds one."""
    words = (host.text("/kargs") or "").split("\n")
    for option in argv[2:]:
        verb, _equals, word = option.partition("=")
        if verb == "--delete":
            words.remove(word)
        else:
            assert verb == "--append"
            words.append(word)
    host.put("/kargs", "\n".join(words))
    return 0, " ".join(words) + "\n", ""


def rpm_ostree_machine(root):
    """A host that ostree booted."""
    host = FakeBootHost(root, {"rpm-ostree": rpm_ostree})
    host.put("/run/ostree-booted", "")
    host.put("/kargs", "root=UUID=1\nrw\nquiet")
    return host


def bootc_machine(root):
    """An image that is being built."""
    host = FakeBootHost(root)
    host.put(
        "/usr/lib/bootc/kargs.d/10-base.toml", 'kargs = ["console=hvc0", "quiet"]\nmatch-architectures = ["x86_64"]\n'
    )
    return host


def zipl_machine(root):
    """/etc/zipl.conf as zipl.conf(5) shows it."""
    host = FakeBootHost(root, {"zipl": lambda host, argv: None})
    host.put(
        "/etc/zipl.conf",
        "[defaultboot]\ndefault = linux\n[linux]\ntarget = /boot\nimage = /boot/vmlinuz\n"
        'parameters = "root=/dev/dasda1 ro"\n',
    )
    return host


MACHINES = {
    "grub": grub_machine,
    "grub_bls": bls_machine,
    "grub_bls of RHEL 8": bls8_machine,
    "grub_suse": suse_machine,
    "systemd-boot": systemd_boot_machine,
    "uki": uki_machine,
    "uki of mkinitcpio": mkinitcpio_machine,
    "u-boot-menu": u_boot_machine,
    "extlinux": extlinux_machine,
    "raspberry-pi": raspberry_pi_machine,
    "raspberry-pi up to Debian 11": raspbian_machine,
    "raspberry-pi of Debian": raspi_firmware_machine,
    "rpm-ostree": rpm_ostree_machine,
    "bootc": bootc_machine,
    "zipl": zipl_machine,
}
