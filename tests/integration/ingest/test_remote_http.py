"""Sources on web servers, against real ones on loopback."""

from __future__ import annotations

import base64
import gzip
import json
import os
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.integration.ingest.loopback import (
    NEVER_SHOWN,
    closed_port,
    contents,
    copies,
    hurry,
    line_to,
    list_and_be_killed,
    remote_source,
)
from userops.config import Settings
from userops.errors import ConfigError, SourceFileError
from userops.ingest.listing import list_source

LONG_AGO = time.time() - 86400


class Handler(SimpleHTTPRequestHandler):
    """Python's own file server, with index pages, and with the ways of other servers where a test asks for them."""

    protocol_version = "HTTP/1.1"
    server: WebServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        if self.server.no_head:
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)
        elif not self._answered_otherwise():
            super().do_HEAD()

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        if not self._answered_otherwise():
            super().do_GET()

    def _answered_otherwise(self) -> bool:
        server = self.server
        if server.wanted_header and self.headers.get(server.wanted_header[0]) != server.wanted_header[1]:
            # Some servers repeat what they did not like.
            self.send_error(HTTPStatus.UNAUTHORIZED, f"not {self.headers.get(*server.wanted_header[:1])}")
            return True
        if server.busy:
            server.busy -= 1
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
            return True
        page = server.pages.get(self.path)
        if page is None:
            return False
        kind, body = page
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        if self.command == "GET":
            body = body[: server.longest_answer]
        if kind == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
        return True

    def end_headers(self) -> None:
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        super().end_headers()


class WebServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self.requests: list[str] = []
        self.pages: dict[str, tuple[str, bytes]] = {}
        self.headers: dict[str, str] = {}
        self.wanted_header: tuple[str, str] | None = None
        self.no_head = False
        self.busy = 0
        self.longest_answer: int | None = None
        super().__init__(("127.0.0.1", 0), lambda *args: Handler(*args, directory=str(root)))
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/exports"

    def put(self, relative: str, data: bytes = b"x\n", modified: float = LONG_AGO) -> Path:
        path = self.root / "exports" / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (modified, modified))
        return path


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[WebServer]:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    hurry(monkeypatch)
    (tmp_path / "served" / "exports").mkdir(parents=True)
    made = WebServer(tmp_path / "served")
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def settings(instance: Any) -> Settings:
    made: Settings = instance.settings
    return made


def web(server: WebServer, **files: Any) -> Any:
    return remote_source(**{"url": server.url, **files})


def connect(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WEB", json.dumps({"conn_type": "http", "host": "127.0.0.1", **fields}))


def test_files_behind_index_pages_are_fetched(server, settings):
    server.put("dt=1/a.csv", b"one\n")
    server.put("dt=2/b.csv", b"two\n" * 2_000_000)
    server.put("dt=2/deeper/no.csv")
    server.put("http_logs.csv", b"a name that looks like a URL\n")
    server.put("readme.txt")
    calls: list[int] = []
    listing = list_source(settings, web(server), lambda _, done, total: calls.append(done))
    assert contents(listing) == {
        "shop/dt=1/a.csv": b"one\n",
        "shop/dt=2/b.csv": b"two\n" * 2_000_000,
        "shop/dt=2/deeper/no.csv": b"x\n",
        "shop/http_logs.csv": b"a name that looks like a URL\n",
    }
    assert calls[-1] == 8_000_035
    server.requests.clear()
    only = list_source(settings, web(server, pattern="dt=1/*.csv"))
    assert list(contents(only)) == ["shop/dt=1/a.csv"]
    assert server.requests == ["/exports/", "/exports/dt=1/"]  # neither other folders nor the file again


def test_odd_names_survive_the_way_through_urls(server, settings):
    odd = {"中文 😀.csv", "a b#c?d%20&amp;.csv", "A.csv", "a.csv", "q'uo\"te.csv", "plus+.csv"}
    for name in odd:
        server.put(name, name.encode())
    assert contents(list_source(settings, web(server))) == {f"shop/{name}": name.encode() for name in odd}


def test_links_that_lead_elsewhere_are_no_files(server, settings):
    server.put("a.csv")
    server.put("sub/b.csv")
    (server.root / "up.csv").write_text("not below the folder")
    links = ["a.csv", "./a.csv", "?C=N;O=D", "../", "../up.csv", "/up.csv", "/exports/sub/b.csv", "http://x.invalid/c.csv",
             "a.csv#part", "a.csv?download=1", "//x.invalid/d.csv", "mailto:x@x.invalid", ""]  # fmt: skip
    page = "<html><BODY>" + "".join(f'<A class="x" HREF="{link}">x</a>' for link in links)
    server.pages["/exports/"] = ("text/html", page.encode())
    assert set(contents(list_source(settings, web(server)))) == {"shop/a.csv", "shop/sub/b.csv"}


def test_a_plain_text_list_is_an_index_too(server, settings):
    server.put("a.csv")
    server.put("sub/b c.csv", b"b\n")
    server.pages["/exports/"] = ("text/plain", b"a.csv\r\nsub/b c.csv\n\ngone.csv\n")
    assert contents(list_source(settings, web(server))) == {"shop/a.csv": b"x\n", "shop/sub/b c.csv": b"b\n"}


def test_a_pattern_without_wildcards_needs_no_index(server, settings):
    server.put("index.html", b"<html>no links here")
    server.put("daily/all.csv", b"all\n")
    with pytest.raises(SourceFileError, match="page without links"):
        list_source(settings, web(server))
    spec = web(server, pattern="daily/all.csv", complete={"marker": "_SUCCESS", "marker_suffix": ".done"})
    assert list_source(settings, spec).waiting == ["shop/daily/all.csv: no _SUCCESS yet"]
    server.put("daily/_SUCCESS", b"")
    assert list_source(settings, spec).waiting == ["shop/daily/all.csv: no all.csv.done yet"]
    server.put("daily/all.csv.done", b"")
    assert contents(list_source(settings, spec)) == {"shop/daily/all.csv": b"all\n"}


def test_only_new_and_changed_files_are_fetched_again(server, settings):
    server.put("same.csv")
    server.put("changed.csv", b"1\n")
    gone = server.put("gone.csv")
    list_source(settings, web(server))
    server.put("changed.csv", b"2\n", LONG_AGO + 1)
    gone.unlink()
    server.requests.clear()
    listing = list_source(settings, web(server))
    assert contents(listing) == {"shop/changed.csv": b"2\n", "shop/same.csv": b"x\n"}
    assert server.requests == ["/exports/", "/exports/changed.csv"]


def test_an_etag_tells_versions_of_the_same_second_apart(server, settings):
    now = time.time()
    server.put("a.csv", b"1\n", now)
    server.headers["ETag"] = '"one"'
    list_source(settings, web(server))
    server.requests.clear()
    list_source(settings, web(server))
    assert server.requests == ["/exports/"]
    server.put("a.csv", b"2\n", now)
    server.headers["ETag"] = '"two"'
    assert contents(list_source(settings, web(server))) == {"shop/a.csv": b"2\n"}


def test_a_server_without_head_is_asked_otherwise(server, settings):
    server.no_head = True
    server.put("a.csv")
    assert contents(list_source(settings, web(server))) == {"shop/a.csv": b"x\n"}


def test_a_compressed_file_stays_compressed(server, settings):
    server.put("a.csv.gz", gzip.compress(b"x\n" * 1000))
    server.headers["Content-Encoding"] = "gzip"
    server.pages["/exports/"] = ("text/plain", b"")
    (file,) = list_source(settings, web(server, pattern="a.csv.gz")).files
    assert gzip.decompress(file.path.read_bytes()) == b"x\n" * 1000


def test_a_file_of_unknown_length_is_not_taken(server, settings):
    server.put("b.csv")
    server.pages["/exports/a.csv"] = ("chunked", b"x\n")
    server.pages["/exports/"] = ("text/html", b'<a href="a.csv"><a href="b.csv">')
    listing = list_source(settings, web(server))
    assert list(contents(listing)) == ["shop/b.csv"]
    assert "does not say how long" in str(listing.failures["shop/a.csv"])


def test_a_login_page_in_the_place_of_a_file_is_not_taken(server, settings):
    server.put("b.csv")
    server.put("report.html")
    server.pages["/exports/a.csv"] = ("text/html; charset=utf-8", b"<html>Please log in")
    server.pages["/exports/"] = ("text/html", b'<a href="a.csv"><a href="b.csv"><a href="report.html">')
    listing = list_source(settings, web(server, pattern="*"))
    assert set(contents(listing)) == {"shop/b.csv", "shop/report.html"}
    assert "login" in str(listing.failures["shop/a.csv"])


def test_a_transfer_that_is_cut_is_done_again(server, settings):
    data = os.urandom(500_000)
    server.put("a.csv", data)
    with line_to("127.0.0.1", server.server_port) as line:
        line.cuts = [100_000, 200_000]
        spec = web(server, url=f"http://127.0.0.1:{line.port}/exports/")
        assert contents(list_source(settings, spec)) == {"shop/a.csv": data}
        assert line.cuts == []


def test_when_every_transfer_fails_the_source_is_given_up(server, settings):
    for number in range(10, 50):
        server.put(f"{number}.csv", os.urandom(100_000))
    with line_to("127.0.0.1", server.server_port) as line:
        line.cuts = [50_000] * 200
        with pytest.raises(SourceFileError, match=r"file 12\.csv.*after 4 tries"):
            list_source(settings, web(server, url=f"http://127.0.0.1:{line.port}/exports"))
    assert 3 * 4 <= 200 - len(line.cuts) < 40 * 4  # those under way with the third one are tried, not all
    assert copies(settings) == []
    assert len(contents(list_source(settings, web(server)))) == 40


def test_a_file_that_comes_shorter_than_announced_is_not_taken(server, settings):
    server.pages["/exports/a.csv"] = ("text/csv", b"x\n" * 1000)
    server.put("a.csv")
    server.longest_answer = 500
    listing = list_source(settings, web(server))
    assert listing.files == []
    assert "500 of 2000 bytes" in str(listing.failures["shop/a.csv"])


def test_a_busy_server_is_asked_again(server, settings):
    server.put("a.csv")
    server.busy = 3
    assert list(contents(list_source(settings, web(server)))) == ["shop/a.csv"]


def test_killed_while_fetching_nothing_half_is_ever_seen(server, settings):
    data = os.urandom(20_000_000)
    server.put("a.csv", data)
    list_and_be_killed(settings, web(server), "while it is fetched")
    (left,) = copies(settings)
    assert left.suffix == ".part"
    listing = list_source(settings, web(server))
    assert contents(listing) == {"shop/a.csv": data}
    assert copies(settings) == [listing.files[0].path]


def test_a_file_without_a_time_waits_until_runs_have_seen_it_for_long_enough(server, settings):
    server.put("dummy")
    server.pages["/exports/a.csv"] = ("text/csv", b"x\n")
    server.pages["/exports/"] = ("text/html", b'<a href="a.csv">')
    spec = web(server, complete={"stable_seconds": 1})
    assert list_source(settings, spec).waiting == ["shop/a.csv: changed 0 s ago, taken after 1 s"]
    time.sleep(1.1)
    assert list(contents(list_source(settings, spec))) == ["shop/a.csv"]


def test_a_missing_folder_stops_the_source_unless_it_is_optional(server, settings):
    nothing = server.url.replace("exports", "nothing")
    with pytest.raises(SourceFileError, match="nothing of that name"):
        list_source(settings, web(server, url=nothing))
    assert list_source(settings, web(server, url=nothing, optional=True)).files == []


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_a_server_that_is_not_there_is_tried_a_few_times(server, settings, host):
    with pytest.raises(SourceFileError, match="after 4 tries"):
        list_source(settings, web(server, url=f"http://{host}:{closed_port()}/exports"))


@pytest.mark.parametrize(
    ("connection", "header"),
    [
        (
            {"login": "reader", "password": NEVER_SHOWN},
            ("Authorization", "Basic " + base64.b64encode(f"reader:{NEVER_SHOWN}".encode()).decode()),
        ),
        ({"password": NEVER_SHOWN}, ("Authorization", f"Bearer {NEVER_SHOWN}")),
        ({"extra": {"bearer": NEVER_SHOWN}}, ("Authorization", f"Bearer {NEVER_SHOWN}")),
        ({"extra": {"Authorization": f"Token {NEVER_SHOWN}"}}, ("Authorization", f"Token {NEVER_SHOWN}")),
        ({"extra": {"headers": {"X-Api-Key": NEVER_SHOWN}, "verify": True}}, ("X-Api-Key", NEVER_SHOWN)),
    ],
)
def test_a_connection_opens_the_door_and_is_never_shown(server, settings, monkeypatch, capfd, connection, header):
    server.put("a.csv")
    server.wanted_header = header
    with pytest.raises(SourceFileError, match="access refused to no connection"):
        list_source(settings, web(server))
    connect(monkeypatch, **connection)
    assert list(contents(list_source(settings, web(server, connection="web")))) == ["shop/a.csv"]
    server.wanted_header = (header[0], "other")
    with pytest.raises(SourceFileError, match="access refused to connection `web`") as caught:
        list_source(settings, web(server, connection="web"))
    assert NEVER_SHOWN not in str(caught.value) + "".join(capfd.readouterr())


def test_a_connection_gives_its_secrets_to_no_other_host(server, settings, monkeypatch):
    connect(monkeypatch, host="https://partner.example", password=NEVER_SHOWN)
    with pytest.raises(ConfigError, match=r"host `partner\.example`"):
        list_source(settings, web(server, connection="web"))
    assert server.requests == []
