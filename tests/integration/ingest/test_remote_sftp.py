"""Sources on SFTP, against a real server on loopback whose host key is made by the test."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
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


class SftpServer:
    """An SSH server in a thread of its own; its users see `root` as /."""

    def __init__(self, root: Path, user_key: asyncssh.SSHKey) -> None:
        self.root = root
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._user_key = user_key
        self._loop = asyncio.new_event_loop()
        self._acceptor: Any = None
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.port = self.start()

    def start(self, port: int = 0) -> int:
        """Listen, with the host key of the moment; return the port."""
        server = self

        class Doorman(asyncssh.SSHServer):
            def begin_auth(self, username: str) -> bool:
                return True

            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                return (username, password) == ("reader", NEVER_SHOWN)

            def public_key_auth_supported(self) -> bool:
                return True

            def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
                return username == "reader" and key.public_data == server._user_key.public_data

        async def listen() -> Any:
            return await asyncssh.listen(
                "127.0.0.1",
                port,
                server_factory=Doorman,
                server_host_keys=[self.host_key],
                sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=os.fsencode(self.root)),
            )

        self._acceptor = asyncio.run_coroutine_threadsafe(listen(), self._loop).result(10)
        return int(self._acceptor.get_port())

    def stop(self) -> None:
        async def stop() -> None:
            self._acceptor.close()
            await self._acceptor.wait_closed()

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(10)

    def close(self) -> None:
        async def cancel_the_rest() -> None:
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        self.stop()
        asyncio.run_coroutine_threadsafe(cancel_the_rest(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)

    @property
    def known_key(self) -> str:
        return " ".join(self.host_key.export_public_key().decode().split()[:2])

    def put(self, relative: str, data: bytes = b"x\n", modified: float = LONG_AGO) -> Path:
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (modified, modified))
        return path


@pytest.fixture(scope="module")
def user_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture
def server(tmp_path, monkeypatch, user_key) -> Iterator[SftpServer]:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))  # no known hosts and no keys of the developer
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    hurry(monkeypatch)
    (tmp_path / "served" / "exports").mkdir(parents=True)
    made = SftpServer(tmp_path / "served", user_key)
    connect(monkeypatch, made)
    yield made
    made.close()


@pytest.fixture
def settings(instance: Any) -> Settings:
    made: Settings = instance.settings
    return made


def connect(
    monkeypatch: pytest.MonkeyPatch, server: SftpServer, password: str | None = NEVER_SHOWN, **extra: Any
) -> None:
    document = {
        "conn_type": "sftp",
        "host": "127.0.0.1",
        "login": "reader",
        "password": password,
        "extra": {"host_key": server.known_key, **extra},
    }
    monkeypatch.setenv("AIRFLOW_CONN_PARTNER", json.dumps(document))


def partner(server: SftpServer, port: int | None = None, **files: Any) -> Any:
    url = f"sftp://127.0.0.1:{port or server.port}/exports"
    return remote_source(**{"url": url, "connection": "partner", **files})


def test_files_are_fetched_from_every_folder_of_the_pattern(server, settings):
    server.put("exports/dt=1/a.csv", b"one\n")
    server.put("exports/dt=2/b.csv", b"two\n" * 600_000)
    server.put("exports/dt=2/deeper/no.csv")
    server.put("exports/readme.txt")
    server.put("elsewhere/c.csv")
    calls: list[int] = []
    listing = list_source(settings, partner(server, pattern="dt=*/*.csv"), lambda _, done, total: calls.append(done))
    assert contents(listing) == {"shop/dt=1/a.csv": b"one\n", "shop/dt=2/b.csv": b"two\n" * 600_000}
    assert calls[-1] == 2_400_004
    assert calls == sorted(calls)
    assert len(calls) > 3


def test_only_new_and_changed_files_are_fetched_again(server, settings):
    server.put("exports/same.csv", b"same\n")
    server.put("exports/changed.csv", b"1\n")
    list_source(settings, partner(server))
    server.put("exports/changed.csv", b"2\n", LONG_AGO + 1)
    gone = server.put("exports/gone.csv")
    calls: list[str] = []
    listing = list_source(settings, partner(server), lambda relative, *_: calls.append(relative))
    assert contents(listing) == {"shop/changed.csv": b"2\n", "shop/gone.csv": b"x\n", "shop/same.csv": b"same\n"}
    assert set(calls) == {"shop/changed.csv", "shop/gone.csv"}
    gone.unlink()
    assert list_source(settings, partner(server)).present == {"shop/changed.csv", "shop/same.csv"}


def test_a_file_written_just_before_it_was_fetched_is_fetched_again(server, settings):
    """SFTP tells whole seconds: new bytes of the same length in the same second look like the old ones."""
    now = time.time()
    server.put("exports/a.csv", b"1\n", now)
    assert contents(list_source(settings, partner(server))) == {"shop/a.csv": b"1\n"}
    server.put("exports/a.csv", b"2\n", now)
    assert contents(list_source(settings, partner(server))) == {"shop/a.csv": b"2\n"}


def test_links_to_files_are_followed_and_others_passed_over(server, settings):
    server.put("elsewhere/real.csv", b"real\n")
    exports = server.root / "exports"
    (exports / "latest.csv").symlink_to("../elsewhere/real.csv")
    (exports / "nowhere.csv").symlink_to("gone")
    (exports / "loop").symlink_to(".")
    assert contents(list_source(settings, partner(server))) == {"shop/latest.csv": b"real\n"}


def test_a_path_from_the_users_own_folder(server, settings):
    server.put("exports/a.csv")
    url = f"sftp://127.0.0.1:{server.port}/~/exports"
    assert list(contents(list_source(settings, partner(server, url=url)))) == ["shop/a.csv"]


def test_odd_names_are_read(server, settings):
    odd = {"中文 😀.csv", "a b#c?d%20.csv", "A.csv", "a.csv", "back\\slash.csv"}
    for name in odd:
        server.put(f"exports/{name}", name.encode())
    found = contents(list_source(settings, partner(server)))
    assert found == {f"shop/{name}": name.encode() for name in odd}


def test_markers_and_young_files(server, settings):
    server.put("exports/a.csv")
    server.put("exports/b.csv", modified=time.time() - 5)
    server.put("exports/b.csv.done")
    spec = partner(server, complete={"marker_suffix": ".done", "stable_seconds": 3600})
    listing = list_source(settings, spec)
    assert listing.files == []
    assert listing.waiting[0] == "shop/a.csv: no a.csv.done yet"
    assert listing.waiting[1].startswith("shop/b.csv: changed ")
    server.put("exports/a.csv.done", b"")
    assert list(contents(list_source(settings, spec))) == ["shop/a.csv"]


def test_a_file_that_grows_while_it_is_fetched_waits(server, settings):
    path = server.put("exports/a.csv", b"x\n" * 500_000)

    def grow(relative: str, done: int, total: int) -> None:
        if done:
            with path.open("ab") as handle:
                handle.write(b"more\n")

    listing = list_source(settings, partner(server), grow)
    assert listing.files == []
    assert listing.waiting == ["shop/a.csv: changed while it was fetched"]
    assert copies(settings) == []
    assert contents(list_source(settings, partner(server))) == {"shop/a.csv": path.read_bytes()}


def test_a_line_that_breaks_is_taken_up_again(server, settings, monkeypatch):
    data = os.urandom(1_200_000)
    server.put("exports/a.csv", data)
    with line_to("127.0.0.1", server.port) as line:
        line.cuts = [400_000, 800_000]
        spec = partner(server, port=line.port)
        assert contents(list_source(settings, spec)) == {"shop/a.csv": data}
        assert line.cuts == []


def test_killed_while_fetching_nothing_half_is_ever_seen(server, settings):
    data = os.urandom(1_200_000)
    server.put("exports/a.csv", data)
    list_and_be_killed(settings, partner(server), "while it is fetched")
    (left,) = copies(settings)
    assert left.suffix == ".part"
    listing = list_source(settings, partner(server))
    assert contents(listing) == {"shop/a.csv": data}
    assert copies(settings) == [listing.files[0].path]


def test_a_missing_folder_stops_the_source_unless_it_is_optional(server, settings):
    url = f"sftp://127.0.0.1:{server.port}/nothing"
    with pytest.raises(SourceFileError, match="nothing of that name"):
        list_source(settings, partner(server, url=url))
    assert list_source(settings, partner(server, url=url, optional=True)).files == []


def test_a_server_that_is_not_there_is_tried_a_few_times(server, settings):
    with pytest.raises(SourceFileError, match="after 4 tries"):
        list_source(settings, partner(server, port=closed_port()))


# Who may come in, and to whom we talk


def test_a_wrong_password_is_told_without_being_shown(server, settings, monkeypatch, capfd):
    wrong = NEVER_SHOWN + "!"
    connect(monkeypatch, server, password=wrong)
    with pytest.raises(SourceFileError, match="access refused to connection `partner`") as caught:
        list_source(settings, partner(server))
    assert NEVER_SHOWN not in str(caught.value) + "".join(capfd.readouterr())


@pytest.mark.parametrize("where", ["file", "text"])
def test_a_private_key_opens_the_door(server, settings, monkeypatch, tmp_path, user_key, where):
    server.put("exports/a.csv")
    text = user_key.export_private_key(passphrase=NEVER_SHOWN, rounds=1, ignore_few_rounds=True).decode()
    (tmp_path / "id").write_text(text)
    key = {"key_file": str(tmp_path / "id")} if where == "file" else {"private_key": text}
    connect(monkeypatch, server, None, **key, private_key_passphrase=NEVER_SHOWN)
    assert list(contents(list_source(settings, partner(server)))) == ["shop/a.csv"]


@pytest.mark.parametrize("extra", [{"private_key": "no key"}, {"host_key": "ssh-ed25519 no-key"}])
def test_keys_that_cannot_be_read_are_config_errors(server, settings, monkeypatch, extra):
    connect(monkeypatch, server, **extra)
    with pytest.raises(ConfigError, match=f"`{next(iter(extra))}` that cannot be read"):
        list_source(settings, partner(server))


def test_a_server_nobody_vouched_for_is_refused_with_the_key_to_compare(server, settings, monkeypatch):
    connect(monkeypatch, server, host_key="")
    with pytest.raises(SourceFileError, match="nobody has vouched for") as caught:
        list_source(settings, partner(server))
    assert server.host_key.get_fingerprint() in str(caught.value)
    assert f"[127.0.0.1]:{server.port} {server.known_key}" in str(caught.value)


def test_a_known_hosts_line_vouches_for_a_server(server, settings, monkeypatch, tmp_path):
    server.put("exports/a.csv")
    (tmp_path / "nobody" / ".ssh").mkdir(parents=True)
    line = f"[127.0.0.1]:{server.port} {server.known_key}\n"
    (tmp_path / "nobody" / ".ssh" / "known_hosts").write_text(line)
    connect(monkeypatch, server, host_key="")
    assert list(contents(list_source(settings, partner(server)))) == ["shop/a.csv"]


@pytest.mark.parametrize("known", ["by the connection", "from the first time"])
def test_a_changed_host_key_is_never_accepted(server, settings, monkeypatch, known):
    server.put("exports/a.csv")
    if known == "from the first time":
        connect(monkeypatch, server, host_key="", no_host_key_check="true")
    assert list(contents(list_source(settings, partner(server)))) == ["shop/a.csv"]
    server.stop()
    server.host_key = asyncssh.generate_private_key("ssh-ed25519")
    server.start(server.port)
    with pytest.raises(SourceFileError, match="another host key"):
        list_source(settings, partner(server))


def test_a_connection_gives_its_password_to_no_other_host(server, settings):
    for url in (f"sftp://localhost:{server.port}/exports", "sftp://127.0.0.2/exports"):
        with pytest.raises(ConfigError, match=r"host `127\.0\.0\.1`"):
            list_source(settings, partner(server, url=url))
