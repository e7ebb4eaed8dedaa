# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens at a router that senders depend on, at the word of a test: UDP and JSON, port 6668, as root.

{"do": "take", "by": "eth3", "from": "eth2", "announce": true}
    another router takes over: the gateway's addresses move to another NIC and so to another MAC address, the old NIC
    goes down. Announced as VRRP does it (RFC 9568, 8.2.2 and 8.3.2: gratuitous ARP, unsolicited neighbour
    advertisement), or not. The answer comes when it is done, if it is not announced: before, and nothing is sent.
{"do": "dhcp", "lease": {MAC: ADDRESS}}
    from now on a DHCP server gives these leases (RFC 2131) and refuses any other, also at renewal; router
    advertisements (RFC 4861) are sent once a second. Without leases: no more of both.
{"do": "vlan", "id": 7, "address": "203.0.113.1/24"}
    segment2 has a VLAN, and the router an address in it.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

PORT = 6668
ADDRESSES = ("198.51.100.1/24", "2001:db8:0:2::1/64")
PREFIX = ipaddress.ip_network("2001:db8:0:2::/64")
MASK = "255.255.255.0"
LEASE_SECONDS = 12
"""Short, so that the client soon asks again."""

ETH_P_ARP = 0x0806
SO_BINDTODEVICE = 25
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6  # RFC 2132, option 53
ROUTER_ADVERTISEMENT, NEIGHBOUR_ADVERTISEMENT = 134, 136  # RFC 4861


class Router:
    """The state: which NIC has the gateway's addresses, which leases there are."""

    def __init__(self) -> None:
        self.nic = "eth2"
        self.leases: dict[str, str] = {}
        for serve in (self.serve_dhcp, self.advertise):
            threading.Thread(target=serve, daemon=True).start()

    def take(self, nic: str, old: str, announce: bool) -> None:
        """Move the gateway's addresses to another NIC."""
        ip(f"link set {old} down")
        for address in ADDRESSES:
            ip(f"address flush dev {old} to {address}")
        ip(f"link set {nic} up")
        for address in ADDRESSES:
            ip(f"address replace {address} dev {nic}" + (" nodad" if ":" in address else ""))
        self.nic = nic
        if announce:
            announce_ipv4(nic, ADDRESSES[0].partition("/")[0])
            announce_ipv6(nic, ADDRESSES[1].partition("/")[0])

    def serve_dhcp(self) -> None:
        """Answer DHCP clients, as far as there is a lease for them."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            server.bind(("", 67))
            while True:
                message, _sender = server.recvfrom(2048)
                mac = message[28:34].hex(":")
                if mac in self.leases:
                    server.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, self.nic.encode())
                    answer = dhcp_answer(message, self.leases[mac])
                    if answer:
                        client = socket.inet_ntoa(message[12:16])
                        server.sendto(answer, ("255.255.255.255" if client == "0.0.0.0" else client, 68))
                    server.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"")

    def advertise(self) -> None:
        """Send router advertisements while there are leases."""
        while True:
            time.sleep(1)
            if self.leases:
                lifetime, infinite = 1800, 0xFFFFFFFF
                message = struct.pack("!BBHBBHII", ROUTER_ADVERTISEMENT, 0, 0, 64, 0, lifetime, 0, 0)
                message += b"\x01\x01" + mac_of(self.nic)
                message += struct.pack("!BBBBIII", 3, 4, PREFIX.prefixlen, 0xC0, infinite, infinite, 0)
                message += PREFIX.network_address.packed
                send_icmpv6(self.nic, message)


def dhcp_answer(message: bytes, lease: str) -> bytes:
    """What a server with exactly this lease answers; empty for what it does not know."""
    options, at = {}, 240
    while at < len(message) and message[at] != 255:
        if message[at] == 0:
            at += 1
            continue
        length = message[at + 1]
        options[message[at]] = message[at + 2 : at + 2 + length]
        at += 2 + length
    kind = options.get(53, b"\0")[0]
    if kind == DISCOVER:
        answer = OFFER
    elif kind == REQUEST:
        wanted = options.get(50, message[12:16])  # the address asked for, or at renewal the one in use
        answer = ACK if wanted == socket.inet_aton(lease) else NAK
    else:
        return b""
    server = socket.inet_aton(ADDRESSES[0].partition("/")[0])
    yours = socket.inet_aton(lease) if answer != NAK else bytes(4)
    header = b"\x02" + message[1:12] + (bytes(4) if answer == NAK else message[12:16]) + yours + bytes(4)
    header += message[24:44] + bytes(192) + message[236:240]
    header += bytes((53, 1, answer, 54, 4)) + server
    if answer != NAK:
        header += bytes((51, 4)) + struct.pack("!I", LEASE_SECONDS)
        header += bytes((1, 4)) + socket.inet_aton(MASK) + bytes((3, 4)) + server
    return header + b"\xff"


def ip(arguments: str) -> None:
    """Run ip."""
    subprocess.run(["ip", *arguments.split()], check=True)


def mac_of(nic: str) -> bytes:
    """The NIC's MAC address."""
    return bytes.fromhex(Path(f"/sys/class/net/{nic}/address").read_text().strip().replace(":", ""))


def announce_ipv4(nic: str, address: str) -> None:
    """Gratuitous ARP: a request for the own address, to everybody (RFC 5227, 3)."""
    mac, own = mac_of(nic), socket.inet_aton(address)
    frame = b"\xff" * 6 + mac + struct.pack("!HHHBBH", ETH_P_ARP, 1, 0x0800, 6, 4, 1) + mac + own + bytes(6) + own
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((nic, ETH_P_ARP))
        raw.send(frame)


def announce_ipv6(nic: str, address: str) -> None:
    """Unsolicited neighbour advertisement with the flags router and override (RFC 4861, 7.2.6)."""
    message = struct.pack("!BBHI", NEIGHBOUR_ADVERTISEMENT, 0, 0, 0xA0000000) + socket.inet_pton(
        socket.AF_INET6, address
    )
    for _attempt in range(50):  # until the interface that just came up can send
        if send_icmpv6(nic, message + b"\x02\x01" + mac_of(nic)):
            return
        time.sleep(0.1)


def send_icmpv6(nic: str, message: bytes) -> bool:
    """Send to all nodes of the segment, with the hop limit that receivers ask for. The kernel adds the checksum."""
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        try:
            raw.sendto(message, ("ff02::1", 0, 0, socket.if_nametoindex(nic)))
        except OSError as error:
            print(f"{nic}: {error}", file=sys.stderr, flush=True)
            return False
    return True


def main() -> None:
    """Do as told until the end of the process."""
    router = Router()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as told:
        told.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        told.bind(("::", PORT))
        while True:
            text, sender = told.recvfrom(2048)
            word = json.loads(text)
            silent = word["do"] == "take" and not word["announce"]
            if silent:
                told.sendto(b'"will be done"', sender)
                time.sleep(0.5)
            if word["do"] == "take":
                router.take(word["by"], word["from"], word["announce"])
            elif word["do"] == "dhcp":
                router.leases = word["lease"]
            else:
                vlan = f"{router.nic}.{word['id']}"
                ip(f"link add link {router.nic} name {vlan} type vlan id {word['id']}")
                ip(f"address add {word['address']} dev {vlan}")
                ip(f"link set {vlan} up")
            if not silent:
                told.sendto(b'"done"', sender)


if __name__ == "__main__":
    main()
