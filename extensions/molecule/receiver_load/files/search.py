# Copyright (c) 2026 The fleet.netconsole authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand in for Elasticsearch and OpenSearch, which Debian does not have: search.py PORT FILE.

Takes bulk requests (POST /_bulk, an action and a document in turn), writes each document to FILE before it answers,
and refuses what is no JSON. A document with the text "lab refuse" is refused by itself, like one that does not fit its
index.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REFUSED = {"status": 400, "error": {"type": "mapper_parsing_exception", "reason": "refused by the lab"}}


class Bulk(BaseHTTPRequestHandler):
    """The part of the interface that rsyslog's omelasticsearch uses."""

    protocol_version = "HTTP/1.1"
    file = ""

    def do_GET(self) -> None:
        """Its health."""
        self._answer({"status": "green"})

    def do_HEAD(self) -> None:
        """The same, without a body."""
        self.do_GET()

    def do_POST(self) -> None:
        """Documents."""
        rows = self.rfile.read(int(self.headers["Content-Length"])).splitlines()
        actions, documents = rows[::2], rows[1::2]
        if self.path.split("?")[0] != "/_bulk" or len(actions) != len(documents):
            self.send_error(400)
            return
        for action in actions:
            (name,) = json.loads(action)
            if name not in ("index", "create"):
                self.send_error(400)
                return
        refused = [b"lab refuse" in document for document in documents]
        with open(self.file, "ab") as file:
            for document, is_refused in zip(documents, refused, strict=True):
                json.loads(document)
                if not is_refused:
                    file.write(document + b"\n")
            file.flush()
            os.fsync(file.fileno())
        items = [{"index": REFUSED if is_refused else {"status": 201}} for is_refused in refused]
        self._answer({"errors": any(refused), "items": items})

    def _answer(self, answer: dict[str, object]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


if __name__ == "__main__":
    Bulk.file = sys.argv[2]
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Bulk).serve_forever()
