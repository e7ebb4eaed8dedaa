# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Open the host's firewall for the receiver, and keep off what shall not come in.

    firewall.py open|close auto|nftables|firewalld|ufw|none PORT SENDERS any|inventory RATE

The receiver's unit calls it when the service starts, reloads and stops: the port is open while somebody listens. What
an operator has opened stays open. With auto, a firewall that cannot be opened is told, and keeps no receiver from
running. With "inventory" only the addresses of senders.json may send; RATE above 0 is the most datagrams a second from
one address.
Both are an nftables table of our own, whichever firewall the host has; everything else in the host's rules is left
alone. Runs on the receiver as root: Python 3.7, standard library. Source: nft(8), libnftables-json(5).
"""

from __future__ import annotations

import json
import os
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
    """Run a program; its output as text, in English."""
    return subprocess.run(
        words,
        input=text,
        capture_output=True,
        text=True,
        check=check,
        env={**os.environ, "LC_ALL": "C"},
    )


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


def of_iptables(chain: dict[str, Any]) -> bool:
    """Whether a chain belongs to iptables-nft, which cannot read a table with rules of nft any more."""
    return chain["family"] in ("ip", "ip6") and (chain["table"], chain["name"]) == ("filter", "INPUT")


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
        if of_iptables(chain):
            print("firewall: left as it is: iptables drops in {family} {table} {name}".format(**chain))
            continue
        words = ("udp", "dport", port, "accept", "comment", f'"{COMMENT}"')
        run("nft", "insert", "rule", chain["family"], chain["table"], chain["name"], *words)


def set_firewalld(opening: bool, port: str) -> None:
    """Open the port in firewalld's running rules, or close it where its permanent ones do not have it open."""
    if opening:
        run("firewall-cmd", "--quiet", f"--add-port={port}/udp")
    elif not succeeds("firewall-cmd", "--quiet", "--permanent", f"--query-port={port}/udp"):
        run("firewall-cmd", "--quiet", f"--remove-port={port}/udp")


def set_ufw(opening: bool, port: str) -> None:
    """Open the port in ufw, by a rule that is known by its comment, or remove that rule."""
    rules = run("ufw", "show", "added").stdout.splitlines()
    allowed = [rule for rule in rules if rule.split()[:3] == ["ufw", "allow", f"{port}/udp"]]
    if opening and not allowed:
        run("ufw", "allow", f"{port}/udp", "comment", COMMENT)
    elif not opening and any(COMMENT in rule for rule in allowed):
        run("ufw", "delete", "allow", f"{port}/udp")


def set_host(kind: str, opening: bool, port: str) -> None:
    """Open or close the host's own firewall."""
    if kind == "firewalld":
        set_firewalld(opening, port)
    elif kind == "ufw":
        set_ufw(opening, port)
    if kind == "nftables" and opening:
        open_nftables(port)
    elif succeeds("nft", "list", "tables"):
        close_nftables()  # also what an earlier setting has left


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
    """The addresses of the senders."""
    with open(path, encoding="utf-8") as file:
        addresses = {entry["index"] for entry in json.load(file)["table"]}
    for address in addresses:
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return sorted(addresses)


def main() -> int:
    """See above."""
    action, asked, port, path, who, rate = sys.argv[1:]
    opening, kind = action == "open", asked
    try:
        try:
            kind = detect() if asked == "auto" else asked
            set_host(kind, opening, port)
        except subprocess.CalledProcessError as error:
            if asked != "auto":
                raise
            print("firewall: left as it is: {}: {}".format(" ".join(error.cmd), error.stderr.strip()))
        if opening and (who == "inventory" or int(rate)):
            table = own_table(port, plain_addresses(path), who == "inventory", int(rate))
            run("nft", "--file", "-", text=table)
        elif shutil.which("nft"):
            run("nft", "--file", "-", text=f"table inet {TABLE}\ndelete table inet {TABLE}\n", check=False)
    except FileNotFoundError as error:
        print(f"firewall: {error.filename} is not installed (netconsole_receiver_firewall is {kind})")
        return 1
    except subprocess.CalledProcessError as error:
        print("firewall: {}: {}".format(" ".join(error.cmd), error.stderr.strip()))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
