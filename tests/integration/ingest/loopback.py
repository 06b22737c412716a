"""What the tests of remote sources share: a source, a line that can be cut, a child that gets killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from userops.config import PROJECT_ROOT, Settings
from userops.ingest import remote
from userops.ingest.listing import Listing
from userops.ingest.sources import Source

NEVER_SHOWN = "a-password/that+must=never&be%seen"


def remote_source(**files: Any) -> Source:
    return Source(
        source="shop",
        entity="events",
        files={"pattern": "**/*.csv", **files},
        format={"type": "csv"},
        columns={"event_id": "id", "event_time": "ts", "event_name": "event", "user_id": "uid"},
        timezone="UTC",
    )


def contents(listing: Listing) -> dict[str, bytes]:
    return {file.relative: file.path.read_bytes() for file in listing.files}


def hurry(monkeypatch: Any) -> None:
    """Wait hardly at all between tries."""
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(remote, "LONGEST_WAIT", 0.02)


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Line:
    """A TCP line to a server. Its next connections are cut after so many bytes of answer.

    Attributes:
        cuts: for each coming connection that carries more than a few KB, after how many bytes it is cut.
    """

    target: tuple[str, int]
    cuts: list[int] = field(default_factory=list)
    port: int = 0

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(self.target) as server:
            threading.Thread(target=self._upstream, args=(client, server), daemon=True).start()
            carried = 0
            while block := server.recv(4096):
                carried += len(block)
                if self.cuts and carried > self.cuts[0]:
                    self.cuts.pop(0)
                    for end in (client, server):  # close() alone would wait for the thread that reads there
                        end.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(block)
            with suppress(OSError):
                client.shutdown(socket.SHUT_WR)

    def _upstream(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while block := client.recv(65536):
                server.sendall(block)
            server.shutdown(socket.SHUT_WR)


@contextmanager
def line_to(host: str, port: int) -> Iterator[Line]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = Line((host, port), port=listener.getsockname()[1])
        threading.Thread(target=line._serve, args=(listener,), daemon=True).start()
        yield line
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


_CHILD = """
import os, signal, sys
from userops.config import load_settings
from userops.ingest import listing, mirror
from userops.ingest.sources import Source

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def progress(relative, done, total):
    if sys.argv[2] == "while it is fetched" and done > total // 2:
        die()

if sys.argv[2] == "before it is renamed":
    mirror.reached = die
listing.list_source(load_settings(), Source.model_validate_json(sys.argv[1]), progress)
"""


def list_and_be_killed(settings: Settings, source: Source, moment: str) -> None:
    """List the source in a child process that kills itself at that moment, for real."""
    environment = {**os.environ, "USEROPS_HOME": str(settings.home), "USEROPS_CONFIG": str(settings.config)}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, source.model_dump_json(), moment],
        env=environment,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def copies(settings: Settings) -> list[Path]:
    """Return the files of the mirror, whole or not."""
    return sorted(path for path in (settings.paths.fetched / "shop").rglob("*") if path.is_file())


def wait_until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    import time

    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)
