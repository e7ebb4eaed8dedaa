# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watch the store of a netconsole receiver: who is silent, who crashed, what was lost.

It reads what the collector appends to the store's JSON lines, like ``tail -F``: it is never in the path of a message,
and what it has not read yet waits in the files, also while it does not run. It writes one record for each crash and
offers figures to Prometheus, over HTTP or as a file for node_exporter. Runs on the receiver as the service's own user:
Python 3.7, and prometheus_client for the figures.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
import time
import typing as t

from observer_core import CRASHES_BYTES, LINES_BEFORE, Observer
from observer_figures import Figures, NoFigures, RsyslogFigures, SyslogNgFigures, serve, write_textfile
from observer_senders import EVENTS

SHORTEST_ROUND = 1.0  # seconds between two looks at the store, at the least
SHARE_OF_PROCESSOR = 0.05  # of one processor, that looking for changes in a quiet store may take
SAVE_EVERY = 30.0  # seconds


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Run until SIGTERM."""
    options = _options(arguments)
    observer = Observer(
        options.store,
        crashes=options.crashes,
        crashes_bytes=options.crashes_bytes,
        state=options.state,
        inventory=options.senders,
        silence=options.silence,
        before=options.lines_before,
        say=_say,
    )
    collector = _collector(options)
    figures = Figures(observer, options.receiver_port, collector, [kind for kind, _pattern in EVENTS])
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    if options.port:
        failure = serve(figures, options.listen, options.port)
        if failure:
            _say(failure)
            if "prometheus_client" not in failure:
                return 1
    if observer.store.first:
        observer.round()  # what is there now is passed over, what comes from now on counts
        observer.save()
    _notify("READY=1")
    _run(observer, figures, options.textfile, stop)
    observer.save()
    return 0


def _run(observer: Observer, figures: Figures, textfile: str | None, stop: threading.Event) -> None:
    saved, read, failure = 0.0, 1, ""
    while not stop.is_set():
        began = time.monotonic()
        lines = observer.round()
        figures.collector.read()
        read += lines
        now = time.monotonic()
        if now - saved > SAVE_EVERY:
            if read:
                observer.save()
            if textfile:
                before, failure = failure, write_textfile(figures, textfile)
                if failure and failure != before:
                    _say(failure)
            saved, read = now, 0
        if not (lines and observer.store.pending):
            stop.wait(max(SHORTEST_ROUND, (now - began) / SHARE_OF_PROCESSOR if not lines else 0))


def _collector(options: argparse.Namespace) -> NoFigures:
    if options.rsyslog_pipe:
        return RsyslogFigures(options.rsyslog_pipe)
    if options.syslog_ng_control:
        return SyslogNgFigures(options.syslog_ng_control)
    return NoFigures()


def _notify(line: str) -> None:
    """sd_notify(3), where systemd asked for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notification:
            notification.sendto(line.encode(), "\0" + address[1:] if address[0] == "@" else address)


def _say(text: str) -> None:
    print(text, flush=True)


def _options(arguments: t.Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="netconsole-observer", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--store", default="/var/log/netconsole", help="the collector's store (default: %(default)s)")
    parser.add_argument("--crashes", default="", help="folder for crash records (default: crashes in the store)")
    parser.add_argument(
        "--crashes-bytes", type=int, default=CRASHES_BYTES, help="the most they take (default: %(default)s)"
    )
    parser.add_argument(
        "--lines-before", type=int, default=LINES_BEFORE, help="lines kept from before a crash (default: %(default)s)"
    )
    parser.add_argument("--state", help="file that keeps places and figures over a restart")
    parser.add_argument("--senders", help="the receiver's senders.json: who is in the inventory")
    parser.add_argument(
        "--silence", type=float, default=0.0, help="seconds after which a sender is silent; 0: only by its heartbeat"
    )
    parser.add_argument("--listen", default="127.0.0.1", help="address of the HTTP server (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="its port; 0: no HTTP server (default)")
    parser.add_argument("--textfile", help="file for node_exporter's textfile collector")
    parser.add_argument("--receiver-port", type=int, default=6666, help="the collector's UDP port, for its drops")
    parser.add_argument("--rsyslog-pipe", help="named pipe that rsyslog writes its figures into")
    parser.add_argument("--syslog-ng-control", help="control socket of syslog-ng")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
