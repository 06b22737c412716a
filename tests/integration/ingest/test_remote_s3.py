"""Sources on S3, against a real server of its protocol on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import quote

import botocore.session
import pytest
import requests
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

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

SHOP = {"url": "s3://exports/shop", "connection": "shop"}


@dataclass
class Server:
    """The server, and an administrator who puts files into the bucket `exports`."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @cached_property
    def client(self) -> Any:
        return botocore.session.get_session().create_client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id="administrator",
            aws_secret_access_key="any",
            region_name="us-east-1",
        )

    def put(self, key: str, data: bytes = b"x\n", age: float = 0.0) -> None:
        """Write past the HTTP front, which would tidy up odd keys."""
        made = self.backend.put_object("exports", key, data)
        made.last_modified = (datetime.now(UTC) - timedelta(seconds=age)).replace(tzinfo=None)

    def delete(self, key: str) -> None:
        self.backend.delete_object("exports", key)

    @property
    def backend(self) -> Any:
        return s3_backends["123456789012"]["aws"]


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    yield Server(*moto.get_host_and_port())
    moto.stop()


@pytest.fixture
def server(running, monkeypatch, tmp_path) -> Server:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    connect(monkeypatch, running.url)
    hurry(monkeypatch)
    requests.post(f"{running.url}/moto-api/reset", timeout=10)
    running.client.create_bucket(Bucket="exports")
    return running


@pytest.fixture
def settings(instance: Any) -> Settings:
    made: Settings = instance.settings
    return made


def connect(monkeypatch: pytest.MonkeyPatch, endpoint: str, **extra: Any) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_SHOP",
        json.dumps(
            {
                "conn_type": "aws",
                "login": "reader",
                "password": NEVER_SHOWN,
                "extra": {"endpoint_url": endpoint, "region_name": "us-east-1", **extra},
            }
        ),
    )


def tally() -> tuple[list[tuple[str, int, int]], Callable[[str, int, int], None]]:
    calls: list[tuple[str, int, int]] = []
    return calls, lambda relative, done, total: calls.append((relative, done, total))


def test_objects_below_the_prefix_are_fetched_whole_and_named_after_their_source(server, settings):
    server.put("shop/dt=1/a.csv", b"one\n")
    server.put("shop/b.csv", b"two\n" * 3_000_000)
    server.put("shop/readme.txt")
    server.put("shopping/c.csv")
    calls, progress = tally()
    listing = list_source(settings, remote_source(**SHOP), progress)
    assert contents(listing) == {"shop/b.csv": b"two\n" * 3_000_000, "shop/dt=1/a.csv": b"one\n"}
    assert (listing.waiting, listing.failures, listing.notes) == ([], {}, [])
    assert calls[-1] == ("shop/dt=1/a.csv", 12_000_004, 12_000_004)
    assert len(calls) > 4  # the large file is told of while it comes
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)


def test_many_small_objects_come_several_at_a_time(server, settings, monkeypatch):
    names = [f"shop/{number:02}.csv" for number in range(24)]
    for number, name in enumerate(names):
        server.put(name, b"x\n" * number)
    under_way, most, lock = 0, 0, threading.Lock()
    backend = type(server.backend)
    answer = backend.get_object

    def slow(*arguments: Any, **options: Any) -> Any:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.05)
        with lock:
            under_way -= 1
        return answer(*arguments, **options)

    monkeypatch.setattr(backend, "get_object", slow)
    calls, progress = tally()
    listing = list_source(settings, remote_source(**SHOP), progress)
    assert 1 < most <= 8
    assert [file.relative for file in listing.files] == names
    assert contents(listing) == {name: b"x\n" * number for number, name in enumerate(names)}
    assert calls[-1] == (names[-1], 2 * sum(range(24)), 2 * sum(range(24)))
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)


def test_of_many_objects_every_one_that_vanishes_is_told_of_in_order(server, settings, monkeypatch):
    names = [f"shop/{number:02}.csv" for number in range(12)]
    for name in names:
        server.put(name)
    backend = type(server.backend)
    answer = backend.get_object

    def gone(self: Any, bucket: str, key: str, *arguments: Any, **options: Any) -> Any:
        time.sleep(0.1 if key == names[3] else 0)  # the first in order is the last to be told
        return None if key in (names[3], names[7], names[9]) else answer(self, bucket, key, *arguments, **options)

    monkeypatch.setattr(backend, "get_object", gone)
    listing = list_source(settings, remote_source(**SHOP))
    assert [text.partition(": ")[0] for text in listing.waiting] == [names[3], names[7], names[9]]
    assert len(listing.files) == 9


def test_a_second_run_fetches_only_what_is_new_or_changed(server, settings):
    server.put("shop/same.csv", b"same\n")
    server.put("shop/changed.csv", b"1\n")
    first = list_source(settings, remote_source(**SHOP))
    same = next(file.path for file in first.files if file.relative == "shop/same.csv")
    before = (same.stat().st_ino, same.stat().st_mtime_ns)
    server.put("shop/changed.csv", b"2\n")  # same size, same second: the ETag tells
    server.put("shop/new.csv", b"new\n")
    calls, progress = tally()
    second = list_source(settings, remote_source(**SHOP), progress)
    assert contents(second) == {
        "shop/changed.csv": b"2\n", "shop/new.csv": b"new\n", "shop/same.csv": b"same\n",
    }  # fmt: skip
    assert {relative for relative, _, _ in calls} == {"shop/changed.csv", "shop/new.csv"}
    assert (same.stat().st_ino, same.stat().st_mtime_ns) == before
    assert len(copies(settings)) == 3  # the older version is gone
    calls.clear()
    assert contents(list_source(settings, remote_source(**SHOP), progress)) == contents(second)
    assert calls == []


def test_a_vanished_object_is_not_listed_though_its_copy_stays(server, settings):
    server.put("shop/a.csv")
    server.put("shop/b.csv")
    list_source(settings, remote_source(**SHOP))
    server.delete("shop/a.csv")
    listing = list_source(settings, remote_source(**SHOP))
    assert listing.present == {"shop/b.csv"}
    assert len(copies(settings)) == 2


def test_the_same_names_at_another_url_are_other_files(server, settings):
    server.put("shop/a.csv", b"one\n")
    server.put("moved/a.csv", b"two\n")
    assert contents(list_source(settings, remote_source(**SHOP))) == {"shop/a.csv": b"one\n"}
    moved = remote_source(**{**SHOP, "url": "s3://exports/moved/"})
    assert contents(list_source(settings, moved)) == {"shop/a.csv": b"two\n"}


def test_odd_names_are_harmless_and_none_is_mistaken_for_another(server, settings):
    odd = {
        "a.csv": "a.csv",
        "A.csv": "A.csv",
        "a.csv/inner.csv": "a.csv/inner.csv",
        "../../../etc/up.csv": "%2E%2E/%2E%2E/%2E%2E/etc/up.csv",
        "x//double.csv": "x/%/double.csv",
        "x?y#z%20&=+.csv": "x?y#z%20&=+.csv",
        "中文 😀\u202e.csv": "中文 😀\u202e.csv",
        "a\\b:c*d.csv": "a\\b:c*d.csv",
        "n" * 240 + ".csv": "n" * 240 + ".csv",
    }
    for name in odd:
        server.put(f"shop/{name}", name.encode())
    listing = list_source(settings, remote_source(**SHOP))
    assert contents(listing) == {f"shop/{shown}": name.encode() for name, shown in odd.items()}
    folder = settings.paths.fetched / "shop"
    assert all(path.parent == folder for path in copies(settings))
    assert len({path.name.lower() for path in copies(settings)}) == len(odd)


def test_placeholders_of_folders_are_no_files_but_an_empty_file_is_one(server, settings):
    for key in ("shop/", "shop/dt=1/", "shop/dt=2_$folder$", "shop/dt=3"):
        server.put(key, b"")
    server.put("shop/dt=3/a.csv", b"x\n")
    server.put("shop/empty.csv", b"")
    assert contents(list_source(settings, remote_source(**SHOP, pattern="**"))) == {
        "shop/dt=3/a.csv": b"x\n", "shop/empty.csv": b"",
    }  # fmt: skip


def test_a_marker_that_arrives_later_lets_its_folder_in(server, settings):
    server.put("shop/dt=1/a.csv")
    spec = remote_source(**SHOP, pattern="dt=*/*", complete={"marker": "_SUCCESS"})
    listing = list_source(settings, spec)
    assert listing.files == []
    assert listing.waiting == ["shop/dt=1/a.csv: no _SUCCESS yet"]
    assert copies(settings) == []
    server.put("shop/dt=1/_SUCCESS", b"")
    assert list(contents(list_source(settings, spec))) == ["shop/dt=1/a.csv"]


def test_a_young_object_waits(server, settings):
    server.put("shop/old.csv", age=3600)
    server.put("shop/young.csv", age=5)
    listing = list_source(settings, remote_source(**SHOP, complete={"stable_seconds": 600}))
    assert list(contents(listing)) == ["shop/old.csv"]
    assert listing.waiting[0].startswith("shop/young.csv: changed ")


def test_an_object_that_changes_while_it_is_fetched_is_left_for_the_next_run(server, settings):
    server.put("shop/a.csv", b"old\n" * 100_000)
    server.put("shop/b.csv", b"b\n")

    def change_it(relative: str, done: int, total: int) -> None:
        if relative == "shop/a.csv" and done:
            server.put("shop/a.csv", b"new\n" * 100_000)

    listing = list_source(settings, remote_source(**SHOP), change_it)
    assert list(contents(listing)) == ["shop/b.csv"]
    assert listing.waiting == ["shop/a.csv: changed while it was fetched"]
    assert listing.present == {"shop/a.csv", "shop/b.csv"}
    assert contents(list_source(settings, remote_source(**SHOP)))["shop/a.csv"] == b"new\n" * 100_000


def test_an_object_that_vanishes_while_it_is_fetched_is_left_alone(server, settings):
    server.put("shop/a.csv", b"x\n")
    listing = list_source(settings, remote_source(**SHOP), lambda *_: server.delete("shop/a.csv"))
    assert listing.files == []
    assert "was not there" in listing.waiting[0]
    assert copies(settings) == []


def test_a_transfer_that_is_cut_is_done_again(server, settings, monkeypatch):
    data = bytes(range(256)) * 2000
    server.put("shop/a.csv", data)
    with line_to(server.host, server.port) as line:
        connect(monkeypatch, f"http://127.0.0.1:{line.port}")
        line.cuts = [100_000, 200_000]
        assert contents(list_source(settings, remote_source(**SHOP))) == {"shop/a.csv": data}
        assert line.cuts == []


def test_a_transfer_that_is_always_cut_is_the_failure_of_that_file_only(server, settings, monkeypatch):
    server.put("shop/a.csv", b"x" * 500_000)
    server.put("shop/b.csv", b"b\n")
    with line_to(server.host, server.port) as line:
        connect(monkeypatch, f"http://127.0.0.1:{line.port}")
        line.cuts = [100_000] * 100
        listing = list_source(settings, remote_source(**SHOP))
    assert contents(listing) == {"shop/b.csv": b"b\n"}
    assert "after 4 tries" in str(listing.failures["shop/a.csv"])
    assert len(copies(settings)) == 1
    assert listing.present == {"shop/a.csv", "shop/b.csv"}


@pytest.mark.parametrize("moment", ["while it is fetched", "before it is renamed"])
def test_killed_while_fetching_nothing_half_is_ever_seen(server, settings, monkeypatch, moment):
    data = bytes(range(256)) * 100_000
    server.put("shop/a.csv", data)
    # Without an Airflow connection the machine's own AWS settings count.
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "machine",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    spec = remote_source(url="s3://exports/shop")
    list_and_be_killed(settings, spec, moment)
    (left,) = copies(settings)
    assert left.suffix == ".part"
    listing = list_source(settings, spec)
    assert contents(listing) == {"shop/a.csv": data}
    assert copies(settings) == [listing.files[0].path]


def test_a_missing_bucket_or_prefix_stops_the_source(server, settings):
    for url in ("s3://exports/nothing", "s3://no-such-bucket/shop"):
        with pytest.raises(SourceFileError, match="nothing of that name") as caught:
            list_source(settings, remote_source(url=url, connection="shop"))
        assert url in str(caught.value)
    listing = list_source(settings, remote_source(url="s3://exports/nothing", connection="shop", optional=True))
    assert listing.files == []
    assert "not there" in listing.notes[0]


def test_a_name_that_is_no_bucket_is_told_at_once(server, settings):
    started = time.monotonic()
    with pytest.raises(SourceFileError, match="Invalid bucket name"):
        list_source(settings, remote_source(url="s3://no_bucket!/shop", connection="shop"))
    assert time.monotonic() - started < 5


def test_wrong_credentials_are_told_without_being_shown(server, settings, capfd):
    server.put("shop/a.csv")
    requests.post(f"{server.url}/moto-api/reset-auth", data="0", timeout=10)
    try:
        with pytest.raises(SourceFileError, match="access refused to connection `shop`") as caught:
            list_source(settings, remote_source(**SHOP))
    finally:
        requests.post(f"{server.url}/moto-api/reset-auth", data="inf", timeout=10)
    shown = str(caught.value) + repr(caught.value.__dict__) + "".join(capfd.readouterr())
    assert NEVER_SHOWN not in shown
    assert quote(NEVER_SHOWN, safe="") not in shown


def test_a_server_that_is_not_there_is_tried_a_few_times(server, settings, monkeypatch, capfd):
    connect(monkeypatch, f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(SourceFileError, match="after 4 tries") as caught:
        list_source(settings, remote_source(**SHOP))
    assert NEVER_SHOWN not in str(caught.value) + "".join(capfd.readouterr())


def test_a_host_name_that_does_not_exist_is_told(server, settings, monkeypatch):
    connect(monkeypatch, "http://no-such-host.invalid")
    with pytest.raises(SourceFileError, match=r"no-such-host\.invalid"):
        list_source(settings, remote_source(**SHOP))


# All the way into the lake


def test_objects_come_into_the_lake_and_follow_the_bucket(server, instance):
    instance.source(source="shop", files={**SHOP, "pattern": "dt=*/*.csv", "complete": {"marker": "_SUCCESS"}})
    header = b"id,ts,event,uid\n"
    server.put("shop/dt=1/a.csv", header + b"1,2024-01-01T00:00:00,view,u1\n2,2024-01-01T00:00:01,view,u1\n")
    server.put("shop/dt=1/_SUCCESS", b"")
    server.put("shop/dt=2/b.csv", header + b"3,2024-01-02T00:00:00,view,u2\n")
    instance.ingest()
    assert instance.lake("events", "event_id") == [("1",), ("2",)]
    assert [batch.file_path for batch in instance.batches()] == ["shop/dt=1/a.csv"]

    server.put("shop/dt=2/_SUCCESS", b"")
    server.put("shop/dt=1/a.csv", header + b"2,2024-01-01T00:00:01,view,u1\n4,2024-01-01T00:00:02,view,u1\n")
    instance.ingest()
    assert instance.lake("events", "event_id") == [("2",), ("3",), ("4",)]

    server.delete("shop/dt=2/b.csv")
    server.delete("shop/dt=2/_SUCCESS")
    report = instance.ingest()
    assert instance.lake("events", "event_id") == [("2",), ("3",), ("4",)]
    assert any("shop/dt=2/b.csv" in warning for warning in report.warnings)


def test_a_source_out_of_reach_does_not_hold_up_the_others(server, instance, monkeypatch):
    connect(monkeypatch, f"http://127.0.0.1:{closed_port()}")
    instance.source(source="far", files={**SHOP, "pattern": "*.csv"})
    instance.source()
    instance.land("shop/events_1.csv", "id,ts,event,uid\n1,2024-01-01T00:00:00,view,u1\n")
    report = instance.ingest()
    assert instance.lake("events", "event_id") == [("1",)]
    assert any("s3://exports/shop" in warning for warning in report.warnings)
    assert NEVER_SHOWN not in " ".join(report.warnings)


# Connections


def test_a_connection_that_airflow_does_not_know_is_a_config_error(server, settings):
    with pytest.raises(ConfigError, match="AIRFLOW_CONN_OTHER"):
        list_source(settings, remote_source(url="s3://exports/shop", connection="other"))


@pytest.mark.parametrize(
    ("connection", "told"),
    [
        ({"conn_type": "sftp", "host": "x"}, "of type `sftp`"),
        ({"conn_type": "aws", "extra": {"role_arn": "arn:aws:iam::1:role/x"}}, "role"),
        ({"conn_type": "aws", "extra": "no json"}, "JSON object"),
        ("{broken", "cannot read"),
    ],
)
def test_a_connection_that_cannot_be_used_says_why(server, settings, monkeypatch, connection, told):
    text = connection if isinstance(connection, str) else json.dumps(connection)
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", text)
    with pytest.raises(ConfigError, match=told):
        list_source(settings, remote_source(**SHOP))


def test_a_connection_may_be_a_uri(server, settings, monkeypatch):
    server.put("shop/a.csv")
    secret = quote(NEVER_SHOWN, safe="")
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", f"aws://reader:{secret}@/?endpoint_url={quote(server.url, safe='')}")
    assert list(contents(list_source(settings, remote_source(**SHOP)))) == ["shop/a.csv"]


def test_asking_airflow_leaves_this_process_its_own_logging(server, settings):
    import logging

    import structlog

    server.put("shop/a.csv")
    before = (structlog.is_configured(), structlog.get_config(), list(logging.getLogger().handlers))
    list_source(settings, remote_source(**SHOP))
    assert (structlog.is_configured(), structlog.get_config(), list(logging.getLogger().handlers)) == before
