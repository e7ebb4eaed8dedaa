# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a collector does with other settings than the defaults (tasks/settings.yml): port 514, unknown senders dropped,
and outputs, whose far sides are here as well.

    settings.py certificates        make an authority and the certificates of receiver, central syslog and stranger
    settings.py listen              be the far sides, until the end
    settings.py COLLECTOR NAME...   send, and print a JSON object of what is wrong, by subject; NAME: the outputs

Runs on the receiver, as root, with datagrams.py beside it. What a far side got is in FOLDER, by the output's name. An
output NAME_stranger goes to one whose certificate has another name than it should, and shall get nothing.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import datagrams

PORT = 514
QUEUE_SIZE = 100000
"""The role's default, by which it limits the memory."""
FOLDER = Path("/etc/lab-outputs")
PROGRAM = Path("/var/lib/netconsole-receiver/program-output")

FAR_SIDES = {"tcp": (5514, ""), "tls": (6514, "central"), "tls_stranger": (6515, "stranger")}
"""Port and certificate."""
RELP_FAR_SIDES = {"relp_tls": (2514, "central"), "relp_tls_stranger": (2515, "stranger")}
RELP_LIBRARY = "rsyslog/imrelp.so"
RELP = """
ruleset(name="{name}") {{ action(type="omfile" file="{folder}/{name}" template="line") }}
input(type="imrelp" address="127.0.0.1" port="{port}" ruleset="{name}" tls="on" tls.authMode="name"
  tls.caCert="{folder}/ca.pem" tls.permittedPeer=["receiver.example"]
  tls.myCert="{folder}/{certificate}.pem" tls.myPrivKey="{folder}/{certificate}.key")
"""


# -- the far sides -----------------------------------------------------------------------------------------------------


def certificates() -> None:
    """One authority and three certificates of it. The service's group can read the keys."""
    FOLDER.mkdir(mode=0o750, exist_ok=True)
    new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout"
    sign = "openssl x509 -req -days 9 -CA ca.pem -CAkey ca.key -CAcreateserial"
    lines = [f"cd {FOLDER}", f"{new} ca.key -x509 -days 9 -subj '/CN=lab authority' -out ca.pem"]
    lines[-1] += " -addext keyUsage=critical,keyCertSign,cRLSign"
    for name in ("receiver", "central", "stranger"):
        lines.append(f"{new} {name}.key -subj '/O=lab/CN={name}.example' -out {name}.csr")
        lines.append(f"echo -e 'subjectAltName=DNS:{name}.example\\nauthorityKeyIdentifier=keyid' > {name}.ext")
        lines.append(f"{sign} -in {name}.csr -extfile {name}.ext -out {name}.pem")
    datagrams.run("\n".join(lines))


def listen() -> None:
    """Take what comes, and write it down."""
    for name, (port, certificate) in FAR_SIDES.items():
        server = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=_serve, args=(name, server, certificate)).start()
    if any(Path("/usr/lib").glob(f"*/{RELP_LIBRARY}")):  # where the collector is rsyslog
        lines = ['module(load="imrelp")', 'template(name="line" type="string" string="%rawmsg%\\n")']
        for name, (port, certificate) in RELP_FAR_SIDES.items():
            lines.append(RELP.format(name=name, port=port, certificate=certificate, folder=FOLDER))
        (FOLDER / "relp.conf").write_text("\n".join(lines), encoding="ascii")
        subprocess.run(["/usr/sbin/rsyslogd", "-n", "-iNONE", "-f", FOLDER / "relp.conf"], check=True)


def _serve(name: str, server: socket.socket, certificate: str) -> None:
    while True:
        connection = server.accept()[0]
        threading.Thread(target=_take, args=(name, connection, certificate)).start()


def _take(name: str, connection: socket.socket, certificate: str) -> None:
    """One connection: what it brought, and who was there, in NAME and NAME.peers."""
    try:
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(FOLDER / "ca.pem"))
            context.load_cert_chain(FOLDER / f"{certificate}.pem", FOLDER / f"{certificate}.key")
            context.verify_mode = ssl.CERT_REQUIRED
            connection = context.wrap_socket(connection, server_side=True)
            _note(f"{name}.peers", f"{connection.getpeercert()}\n".encode())
        while data := connection.recv(1 << 16):
            _note(name, data)
    except OSError as error:
        _note(f"{name}.peers", f"{error}\n".encode())


def _note(name: str, data: bytes) -> None:
    with (FOLDER / name).open("ab") as file:
        file.write(data)


# -- the checks --------------------------------------------------------------------------------------------------------


def got(name: str) -> bytes:
    """What a far side has so far."""
    path = PROGRAM if name == "program" else FOLDER / name
    return path.read_bytes() if path.exists() else b""


def wait(name: str, text: str) -> list[str]:
    """Wait until a far side has a text; what is wrong after half a minute without."""
    for dummy in range(150):
        if text.encode() in got(name):
            return []
        time.sleep(0.2)
    return [f"{text} has not come to {name}: {got(name)[-500:]!r}"]


def check_port(outputs: int) -> list[str]:
    """What is wrong with the service on a port that only root may have, and with its limit of memory."""
    exposure = datagrams.run(
        f"systemd-analyze security --no-pager {datagrams.SERVICE}"
        " | sed -n 's/.*exposure level.*: \\([0-9.]*\\) .*/\\1/p'"
    )
    wrong = [] if float(exposure) <= 2.5 else [f"systemd-analyze security: {exposure}"]
    shown = datagrams.run(
        f"systemctl show --property=User,CapabilityBoundingSet,ActiveState {datagrams.SERVICE} | sort"
    )
    expected = "ActiveState=active\nCapabilityBoundingSet=cap_net_bind_service\nUser=netconsole-receiver"
    wrong += [] if shown == expected else [f"service: {shown}, expected {expected}"]
    memory = datagrams.run(f"systemctl show --property=MemoryMax --value {datagrams.SERVICE}")
    limit = 536870912 + 4096 * QUEUE_SIZE * (2 + outputs)
    wrong += [] if memory == str(limit) else [f"MemoryMax: {memory}, expected {limit}"]
    for source in ("192.0.2.22", "2001:db8::21"):
        mark = f"port-{PORT}-{time.time_ns()}-end"
        datagrams.send(source, [f"6,{time.time_ns() // 1000},9163816,-;{mark}\n".encode()], PORT)
        wrong += datagrams.wait_for(mark, *datagrams.files_of(source))
    return wrong


def check_unknown() -> list[str]:
    """What is wrong with a stranger's messages, which shall be dropped. One of a sender follows, and it is stored."""
    marks = {source: f"unknown-{time.time_ns()}-end" for source in ("192.0.2.99", "2001:db8::99", "192.0.2.22")}
    for source, mark in marks.items():
        datagrams.send(source, [f"6,{time.time_ns() // 1000},9163816,-;{mark}\n".encode()], PORT)
        time.sleep(0.3)
    wrong = datagrams.wait_for(marks.pop("192.0.2.22"), *datagrams.files_of("192.0.2.22"))
    for mark in marks.values():
        found = subprocess.run(["grep", "-rl", mark, str(datagrams.STORE)], capture_output=True, text=True, check=False)
        wrong += [f"{mark} is in {found.stdout}"] if found.stdout else []
    return wrong


def check_outputs(names: list[str]) -> list[str]:
    """What is wrong with what the outputs got: every message, with its priority, and a stranger nothing."""
    strangers = [name for name in names if name.endswith("_stranger")]
    mark = time.time_ns()
    priorities = [0, 2, 6, 7, 9, 12, 20, 30, 99, 100, 191, 192, 255, 2047]
    texts = {f"output-{mark}-{priority}-end": priority for priority in priorities}
    lines = [
        f"{priority},{time.time_ns() // 1000 + number},9163816,-;{text}\n".encode()
        for number, (text, priority) in enumerate(texts.items())
    ]
    datagrams.send("192.0.2.21", lines, PORT)
    last = list(texts)[-1]
    wrong = datagrams.wait_for(last, *datagrams.files_of("192.0.2.21"))
    stored = datagrams.files_of("192.0.2.21")[1].read_text(encoding="ascii").splitlines()
    records = sorted(line for line in stored if str(mark) in line)
    for name in sorted(set(names) - set(strangers)):
        missing = wait(name, last)
        wrong += missing
        if missing:
            continue
        time.sleep(0.5)
        if name in ("tcp", "relp_tls"):  # in an RFC 5424 frame
            found = re.findall(rf"<(\d+)>1 \S+ db1 kernel - - - (output-{mark}-\d+-end)", got(name).decode("ascii"))
            # Facilities beyond 23 are no syslog ones: a user's.
            expected = [(str(one if one < 192 else 8 + one % 8), text) for text, one in texts.items()]
            wrong += [] if found == expected else [f"{name}: {found}, expected {expected}"]
        else:
            found = sorted(re.findall(rf"{{[^{{}}]*output-{mark}-\d+-end[^{{}}]*}}", got(name).decode("ascii")))
            wrong += [] if found == records else [f"{name}: {found}, expected {records}"]
    wrong += [f"{name} got {got(name)!r}" for name in strangers if got(name)]
    if "tls" in names:
        peers = {name: got(f"{name}.peers").decode() for name in ("tls", "tls_stranger")}
        wrong += [] if "receiver.example" in peers["tls"] else [f"who came to tls: {peers['tls']}"]
        wrong += [] if peers["tls_stranger"] else ["nobody tried tls_stranger"]
    return wrong


def check_all(collector: str, outputs: list[str]) -> dict[str, list[str]]:
    """What is wrong, by subject, with everything that the collector has."""
    datagrams.COLLECTOR = collector
    checks = {f"port {PORT}": check_port(len(outputs))}
    if collector in datagrams.TELLS_SOURCE:
        checks["unknown senders"] = check_unknown()
    if outputs:
        checks["outputs"] = check_outputs(outputs)
    return checks


def main() -> None:
    """See above."""
    if sys.argv[1] in ("certificates", "listen"):
        {"certificates": certificates, "listen": listen}[sys.argv[1]]()
    else:
        print(json.dumps(check_all(sys.argv[1], sys.argv[2:])))


if __name__ == "__main__":
    main()
