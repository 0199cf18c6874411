"""A web server on this machine that gives ranges of a folder's files, and misbehaves where it is asked to."""

import contextlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class ShardServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.failures = 0  # how many answers are still to be 503
        self.ranges = True
        self.status = 0  # instead of any answer
        self.asked: list[str] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up."""


class Handler(BaseHTTPRequestHandler):
    server: ShardServer
    protocol_version = "HTTP/1.1"  # connections are kept, as real ones are, and could be shared with a fork
    disable_nagle_algorithm = True  # or each answer waits 40 ms

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, the name of the standard library
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path = self.server.folder / self.path.partition("?")[0].lstrip("/")
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        self.server.asked.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())
        status, content, total = 200, b"", ""
        if self.server.failures:
            self.server.failures -= 1
            status = 503
        elif self.server.status or not path.is_file():
            status = self.server.status or 404
        else:
            content = path.read_bytes()
            if wanted and self.server.ranges:
                start, end = int(wanted[1]), int(wanted[2])
                status, total = 206, f"bytes {start}-{min(end, len(content) - 1)}/{len(content)}"
                content = content[start : end + 1]
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if status == 200:
            self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
        if total:
            self.send_header("Content-Range", total)
        self.end_headers()
        if body:
            self.wfile.write(content)


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[ShardServer]:
    with ShardServer(folder) as server:
        threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01), daemon=True).start()
        yield server
        server.shutdown()
