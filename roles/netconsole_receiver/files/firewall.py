# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Open the host's firewall for the receiver, and keep off what shall not come in.

    firewall.py open|close auto|nftables|firewalld|ufw|none PORT SENDERS any|inventory RATE

The receiver's unit calls it when the service starts, reloads and stops: the port is open while somebody listens. With
"inventory" only the addresses of senders.json may send; RATE above 0 is the most datagrams a second from one address.
Both are an nftables table of our own, whichever firewall the host has; everything else in the host's rules is left
alone. Runs on the receiver as root: Python 3.7, standard library. Source: nft(8), libnftables-json(5).
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from typing import Any

TABLE = "netconsole_receiver"
COMMENT = "netconsole-receiver"
PRIORITY = -10
"""Before the host's own filter chains (priority 0): what is dropped here needs no rule there."""


def run(*words: str, text: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program; its output as text."""
    return subprocess.run(words, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=check)


def succeeds(*words: str) -> bool:
    """Whether a program is there and ends well."""
    return shutil.which(words[0]) is not None and run(*words, check=False).returncode == 0


def detect() -> str:
    """The firewall that runs on this host."""
    if succeeds("firewall-cmd", "--state"):
        return "firewalld"
    if shutil.which("ufw") and "Status: active" in run("ufw", "status", check=False).stdout:
        return "ufw"
    return "nftables" if succeeds("nft", "list", "tables") and closed_chains() else "none"


def listing(*words: str) -> list[dict[str, Any]]:
    """A list of nftables' objects."""
    found: list[dict[str, Any]] = json.loads(run("nft", "--json", "--handle", "list", *words).stdout)["nftables"]
    return found


def closed_chains() -> list[dict[str, Any]]:
    """The host's own input chains that drop what no rule accepts."""
    chains = [entry["chain"] for entry in listing("chains") if "chain" in entry]
    return [
        chain
        for chain in chains
        if chain.get("hook") == "input" and chain.get("policy") == "drop" and chain["table"] != TABLE
    ]


def close_nftables() -> None:
    """Take our rules out of the host's chains, wherever they are."""
    for entry in listing("ruleset"):
        rule = entry.get("rule", {})
        if rule.get("comment") == COMMENT:
            place = (rule["family"], rule["table"], rule["chain"])
            run("nft", "delete", "rule", *place, "handle", str(rule["handle"]))


def open_nftables(port: str) -> None:
    """One rule at the head of each closed input chain."""
    close_nftables()
    for chain in closed_chains():
        words = ("udp", "dport", port, "accept", "comment", f'"{COMMENT}"')
        run("nft", "insert", "rule", chain["family"], chain["table"], chain["name"], *words)


def block(*words: str) -> str:
    """Words in nft's braces."""
    return "{ " + " ".join(words) + " }"


def own_table(port: str, senders: list[str], limited: bool, rate: int) -> str:
    """The text of our table: replaced as a whole, in one step."""
    by_family = {
        "ip": [address for address in senders if ":" not in address],
        "ip6": [address for address in senders if ":" in address],
    }
    lines = [f"table inet {TABLE}", f"delete table inet {TABLE}", "table inet " + TABLE + " {"]
    rules = [f"udp dport != {port} accept", "meta l4proto != udp accept"]
    for family, addresses in by_family.items():
        kind = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}[family]
        if limited:
            elements = ["elements =", block(", ".join(addresses)), ";"] if addresses else []
            lines.append(f"set senders_{family} " + block("type", kind, ";", *elements))
            rules.append(f"{family} saddr != @senders_{family} drop")
        if rate:
            for name, timeout in (("rate", "1m"), ("over", "1h")):
                options = ("type", kind, "; size 65535; flags dynamic,timeout; timeout", timeout, ";")
                lines.append(f"set {name}_{family} " + block(*options))
            limit = block(f"{family} saddr limit rate over {rate}/second burst {rate * 10} packets")
            count = block(f"{family} saddr counter")
            rules.append(f"update @rate_{family} {limit} update @over_{family} {count} drop")
    lines += ["chain input {", f"type filter hook input priority {PRIORITY}; policy accept;", *rules, "}", "}"]
    return "\n".join(lines) + "\n"


def plain_addresses(path: str) -> list[str]:
    """The addresses of the senders. One with a zone (fe80::1%eth1) is matched without it."""
    with open(path, encoding="utf-8") as file:
        addresses = {entry["index"].partition("%")[0] for entry in json.load(file)["table"]}
    for address in addresses:
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return sorted(addresses)


def main() -> int:
    """See above."""
    action, kind, port, path, who, rate = sys.argv[1:]
    kind = detect() if kind == "auto" else kind
    opening = action == "open"
    try:
        if kind == "firewalld":
            run("firewall-cmd", "--quiet", "--{}-port={}/udp".format("add" if opening else "remove", port))
        elif kind == "ufw":
            run("ufw", *(() if opening else ("delete",)), "allow", f"{port}/udp")
        if kind == "nftables" and opening:
            open_nftables(port)
        elif succeeds("nft", "list", "tables"):
            close_nftables()  # also what an earlier setting has left
        if opening and (who == "inventory" or int(rate)):
            table = own_table(port, plain_addresses(path), who == "inventory", int(rate))
            run("nft", "--file", "-", text=table)
        elif shutil.which("nft"):
            run("nft", "--file", "-", text=f"table inet {TABLE}\ndelete table inet {TABLE}\n", check=False)
    except FileNotFoundError as error:
        print(f"firewall: {error.filename} is not installed (netconsole_receiver_firewall is {kind})")
        return 1
    except subprocess.CalledProcessError as error:
        print("firewall: {}: {}".format(" ".join(error.cmd), error.output.strip()))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
