"""Sources on Google Cloud Storage. No real server can run here: a stand-in answers the requests userops makes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.integration.ingest.loopback import contents, hurry, remote_source
from userops.config import Settings
from userops.errors import SourceFileError
from userops.ingest.listing import list_source

STORE = {"url": "gs://exports/shop", "connection": "store"}


class Handler(BaseHTTPRequestHandler):
    server: Bucket

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        bucket, _, name = url.path.partition("/b/")[2].partition("/o")
        name = unquote(name.removeprefix("/"))
        if self.server.refusing:
            self._json({"error": {"code": 403, "message": "no access"}}, HTTPStatus.FORBIDDEN)
        elif bucket != "exports" or (name and name not in self.server.objects):
            self._json({"error": {"code": 404, "message": "not found"}}, HTTPStatus.NOT_FOUND)
        elif not name:
            prefix = query.get("prefix", "")
            self._json({"items": [self._told(key) for key in sorted(self.server.objects) if key.startswith(prefix)]})
        elif query.get("alt") == "media":
            self.server.fetched.append(name)
            self._answer(self.server.objects[name][1])
        else:
            self._json(self._told(name))

    def _told(self, name: str) -> dict[str, Any]:
        generation, data = self.server.objects[name]
        return {
            "kind": "storage#object",
            "bucket": "exports",
            "name": name,
            "size": str(len(data)),
            "generation": str(generation),
            "etag": "changes with labels, too",
            "updated": "2024-01-01T00:00:00.000Z",
            "timeCreated": "2024-01-01T00:00:00.000Z",
        }

    def _json(self, document: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        self._answer(json.dumps(document).encode(), status)

    def _answer(self, body: bytes, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Bucket(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.objects: dict[str, tuple[int, bytes]] = {}
        self.fetched: list[str] = []
        self.refusing = False
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def bucket(monkeypatch, tmp_path) -> Iterator[Bucket]:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    hurry(monkeypatch)
    made = Bucket()
    extra = {"is_anonymous": True, "endpoint_url": f"http://127.0.0.1:{made.server_port}"}
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps({"conn_type": "google_cloud_platform", "extra": extra}))
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def settings(instance: Any) -> Settings:
    made: Settings = instance.settings
    return made


def test_only_new_generations_are_fetched_and_vanished_objects_are_not_listed(bucket, settings):
    bucket.objects = {
        "shop/dt=1/a.csv": (1, b"one\n"),
        "shop/b.csv": (1, b"two\n"),
        "shop/gone.csv": (1, b"gone\n"),
        "shop/dt=1/": (1, b""),
        "shopping/no.csv": (1, b"no\n"),
    }
    first = list_source(settings, remote_source(**STORE))
    assert contents(first) == {"shop/b.csv": b"two\n", "shop/dt=1/a.csv": b"one\n", "shop/gone.csv": b"gone\n"}
    bucket.fetched.clear()
    bucket.objects["shop/b.csv"] = (2, b"TWO\n")
    del bucket.objects["shop/gone.csv"]
    second = list_source(settings, remote_source(**STORE))
    assert contents(second) == {"shop/b.csv": b"TWO\n", "shop/dt=1/a.csv": b"one\n"}
    assert bucket.fetched == ["shop/b.csv"]


def test_a_missing_bucket_and_a_refusal_are_told(bucket, settings):
    with pytest.raises(SourceFileError, match="nothing of that name"):
        list_source(settings, remote_source(url="gs://other/shop", connection="store"))
    bucket.refusing = True
    with pytest.raises(SourceFileError, match="access refused to connection `store`"):
        list_source(settings, remote_source(**STORE))
