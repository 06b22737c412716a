"""Airflow connections as fsspec options: who `userops` is when it reads a source's `files.url`."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import structlog

from userops.config import Settings
from userops.errors import ConfigError
from userops.ingest.sources import Source

LOCAL, S3, GCS, SFTP, HTTP = "file", "s3", "gs", "sftp", "http"

_PROTOCOLS = {
    "file": LOCAL,
    "s3": S3,
    "s3a": S3,
    "gs": GCS,
    "gcs": GCS,
    "sftp": SFTP,
    "ssh": SFTP,
    "http": HTTP,
    "https": HTTP,
}
_CONNECTION_TYPES = {
    S3: ("aws", "s3"),
    GCS: ("google_cloud_platform",),
    SFTP: ("sftp", "ssh"),
    HTTP: ("http", "https"),
}
#: Extra fields of an Airflow HTTP connection that steer its client and are no headers.
_HTTP_NO_HEADERS = frozenset(
    {"bearer", "headers", "timeout", "allow_redirects", "proxies", "proxy", "verify", "trust_env", "cert"}
    | {"max_redirects", "stream", "check_response", "auth_type", "auth_kwargs", "raise_for_status", "retry_delay"}
)
_HIDDEN = "***"


@dataclass(frozen=True)
class Access:
    """How a URL is reached.

    Attributes:
        protocol: one of file, s3, gs, sftp and http.
        url: the URL as messages may show it: without a password or a query.
        connection: id of the Airflow connection, or None.
        options: arguments of the file system; they hold secrets and are never shown.
        secrets: the values that no message may contain.
    """

    protocol: str
    url: str
    connection: str | None
    options: Mapping[str, Any] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    def redacted(self, text: str) -> str:
        """Return `text` with every secret replaced, as it is and as it looks inside a URL."""
        for secret in self.secrets:
            for form in {secret, quote(secret, safe="")}:
                text = text.replace(form, _HIDDEN)
        return text


@dataclass(frozen=True)
class _Asked:
    """A URL with the Airflow connection it is to be read with, if any."""

    settings: Settings
    source: Source
    url: SplitResult
    connection: Any

    @property
    def extra(self) -> dict[str, Any]:
        return {} if self.connection is None else _extra(self.source, self.connection)


def protocol_of(source: Source) -> str:
    """Return the protocol of the source's URL: file, s3, gs, sftp or http.

    Raises:
        ConfigError: userops cannot read URLs of that kind.
    """
    scheme = urlsplit(source.files.url or "").scheme.lower()
    if scheme not in _PROTOCOLS:
        raise ConfigError(
            _key(source, "url"),
            f"a URL that begins with `{scheme}://`",
            "one of " + ", ".join(f"{name}://" for name in _PROTOCOLS),
            "correct the URL, or copy the files into a folder below landing/ and use `files.path`",
        )
    return _PROTOCOLS[scheme]


def access_of(settings: Settings, source: Source) -> Access:
    """Return how the source's URL is reached, asking Airflow for its connection when it names one.

    Raises:
        ConfigError: the URL or the connection cannot be used.
    """
    protocol = protocol_of(source)
    url = urlsplit(source.files.url or "")
    _check_url(source, protocol, url)
    connection = _airflow_connection(settings, source) if source.files.connection else None
    if connection is not None:
        _check_type(source, protocol, connection)
    options, secrets = _TRANSLATIONS[protocol](_Asked(settings, source, url, connection))
    return Access(
        protocol=protocol,
        url=url._replace(query="", fragment="").geturl() if protocol == HTTP else url.geturl(),
        connection=source.files.connection,
        options=options,
        # Longest first: a secret may be a part of another one.
        secrets=tuple(sorted({str(item) for item in secrets if item}, key=len, reverse=True)),
    )


def _key(source: Source, name: str) -> str:
    return f"source `{source.source}`, key `files.{name}`"


def _check_url(source: Source, protocol: str, url: SplitResult) -> None:
    problem = ""
    try:
        _ = url.port
    except ValueError:
        problem = "a port that is a number"
    if protocol == LOCAL and (url.netloc not in ("", "localhost") or not url.path.startswith("/")):
        problem = "a URL with three slashes: file:///mnt/exports"
    elif protocol != LOCAL and not url.hostname:
        problem = "a URL that names a bucket or a host"
    elif protocol != SFTP and url.username is not None:
        problem = "a URL without a user; credentials belong in an Airflow connection"
    elif protocol == HTTP and (url.query or url.fragment):
        problem = "the URL of a folder, without ? and #"
    elif protocol == LOCAL and source.files.connection:
        problem = "no `files.connection`: a local folder needs none"
    if problem:
        shown = url._replace(netloc=url.netloc.rpartition("@")[2], query="", fragment="").geturl()
        raise ConfigError(_key(source, "url"), shown, problem, "correct the source YAML")


def _airflow_connection(settings: Settings, source: Source) -> Any:
    """Return the `airflow.sdk` Connection. Outside a task Airflow looks at AIRFLOW_CONN_* and its secrets backends."""
    conn_id = str(source.files.connection)
    os.environ.setdefault("AIRFLOW_HOME", str(settings.paths.airflow_home))
    with _own_logging():
        from airflow.sdk import BaseHook
        from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException, AirflowRuntimeError
    try:
        with _own_logging():
            return BaseHook.get_connection(conn_id)
    except (AirflowException, AirflowRuntimeError) as error:
        if not isinstance(error, AirflowNotFoundException):
            raise ConfigError(
                _key(source, "connection"),
                f"`{conn_id}`, which Airflow does not give away ({type(error).__name__})",
                "the id of an Airflow connection that this task may use",
                "ask who looks after Airflow",
            ) from None
        variable = f"AIRFLOW_CONN_{conn_id.upper()}"
        raise ConfigError(
            _key(source, "connection"),
            f"`{conn_id}`, "
            + (f"and {variable} that Airflow cannot read" if variable in os.environ else "which Airflow does not know"),
            "the id of an Airflow connection",
            f"set the environment variable {variable} to a connection URI or JSON; one that is kept in Airflow's "
            "database is seen by its tasks only, not by the command line",
        ) from None


@contextmanager
def _own_logging() -> Iterator[None]:
    """Importing Airflow redirects all logging of the process to standard output, where results go: undo it."""
    kept = structlog.get_config() if structlog.is_configured() else None
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        if kept is None:
            structlog.reset_defaults()
        else:
            structlog.configure(**kept)
        root.handlers[:] = handlers
        root.setLevel(level)


def _check_type(source: Source, protocol: str, connection: Any) -> None:
    kind = (connection.conn_type or "").lower().replace("-", "_")
    if kind not in _CONNECTION_TYPES[protocol]:
        raise ConfigError(
            _key(source, "connection"),
            f"connection `{source.files.connection}` of type `{kind}`",
            f"type {' or '.join(_CONNECTION_TYPES[protocol])} for a {protocol}:// URL",
            "name another connection, or correct its type",
        )


def _extra(source: Source, connection: Any) -> dict[str, Any]:
    """Return the connection's extra fields; those of older Airflow versions lose their `extra__type__` prefix."""
    if not connection.extra:
        return {}
    with _own_logging():
        extra = connection.extra_dejson
    if not isinstance(extra, dict) or not extra:
        raise _unusable(source, "an extra field that is no JSON object", "a JSON object", "correct its extra field")
    return {name.rpartition("__")[2] if name.startswith("extra__") else name: value for name, value in extra.items()}


def _unusable(source: Source, found: str, expected: str, fix: str) -> ConfigError:
    return ConfigError(f"{_key(source, 'connection')}, connection `{source.files.connection}`", found, expected, fix)


def _is_true(value: Any) -> bool:
    return str(value).strip().lower() in ("true", "1", "yes")


def _same_host(source: Source, url: SplitResult, connection: Any) -> None:
    """A connection that names a host sends its secrets to no other one, whatever the source YAML says."""
    named = urlsplit(connection.host if "://" in connection.host else f"//{connection.host}").hostname
    if named != url.hostname or (connection.port and url.port and connection.port != url.port):
        owner = f"{named}:{connection.port}" if connection.port else named
        raise ConfigError(
            _key(source, "url"),
            f"host `{url.netloc.rpartition('@')[2]}`",
            f"host `{owner}`, which connection `{source.files.connection}` is for",
            "correct the URL, or name the connection of that host",
        )


#: Options of the file system, and the secrets among them.
_Translated = tuple[dict[str, Any], Iterable[Any]]


def _s3(asked: _Asked) -> _Translated:
    source, connection, extra = asked.source, asked.connection, asked.extra
    if connection is None:
        return {}, ()
    if extra.get("role_arn"):
        raise _unusable(
            source,
            "`role_arn`: a role to be assumed",
            "access keys, or none (then the role of the machine counts)",
            "give the machine the role, or the connection the keys of a user",
        )
    key = connection.login or extra.get("aws_access_key_id")
    secret = connection.password or extra.get("aws_secret_access_key")
    token = extra.get("aws_session_token")
    service = extra.get("service_config", {}).get("s3", {}) if isinstance(extra.get("service_config"), dict) else {}
    config = extra.get("config_kwargs")
    if isinstance(config, str):
        config = _json(source, "config_kwargs", config)
    options = {
        "key": key,
        "secret": secret,
        "token": token,
        "endpoint_url": service.get("endpoint_url") or extra.get("endpoint_url") or extra.get("host"),
        "profile": extra.get("profile_name"),
        "anon": _is_true(extra.get("anon", False)) or None,
        "client_kwargs": {"region_name": extra["region_name"]} if extra.get("region_name") else None,
        "config_kwargs": config,
    }
    return {name: value for name, value in options.items() if value is not None}, (secret, token)


def _gcs(asked: _Asked) -> _Translated:
    source, connection, extra = asked.source, asked.connection, asked.extra
    if connection is None:
        return {}, ()
    options: dict[str, Any] = {
        "project": extra.get("project") or extra.get("project_id"),
        "endpoint_url": extra.get("endpoint_url"),
    }
    secrets: list[Any] = []
    if _is_true(extra.get("is_anonymous", False)):
        options["token"] = "anon"  # noqa: S105 - the name gcsfs has for nobody
    elif extra.get("keyfile_dict"):
        keyfile = extra["keyfile_dict"]
        token = _json(source, "keyfile_dict", keyfile) if isinstance(keyfile, str) else keyfile
        options["token"] = token
        secrets = [token.get("private_key"), token.get("private_key_id")]
    elif extra.get("key_path"):
        options["token"] = extra["key_path"]
    return {name: value for name, value in options.items() if value is not None}, secrets


def _json(source: Source, name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _unusable(source, f"`{name}` that is no JSON object", "a JSON object", f"correct `{name}`")
    return value


def _sftp(asked: _Asked) -> _Translated:
    """Options of `userops.ingest.remote.SftpFiles`; a host key that is not the known one is refused in every case."""
    source, connection, extra, url = asked.source, asked.connection, asked.extra, asked.url
    if connection is not None and connection.host:
        _same_host(source, url, connection)
    login = (connection.login or None) if connection is not None else None
    password = (connection.password or None) if connection is not None else None
    passphrase = extra.get("private_key_passphrase")
    options: dict[str, Any] = {
        "host": url.hostname,
        "port": url.port or (connection.port if connection is not None else None) or 22,
        "username": login or url.username,
        "password": password,
        "passphrase": passphrase,
        "key_filename": str(Path(extra["key_file"]).expanduser()) if extra.get("key_file") else None,
        "pkey": _private_key(source, extra["private_key"], passphrase) if extra.get("private_key") else None,
        "host_key": _host_key(source, extra["host_key"]) if extra.get("host_key") else None,
        "known_hosts": str(Path(extra.get("known_hosts") or "~/.ssh/known_hosts").expanduser()),
        # Trust at first sight, when the connection says so: the key is kept here and counts from then on.
        "remembered_hosts": (
            str(asked.settings.paths.fetched / "known_hosts")
            if _is_true(extra.get("no_host_key_check", False))
            else None
        ),
    }
    if any(options[name] for name in ("password", "key_filename", "pkey")):
        options |= {"look_for_keys": False, "allow_agent": False}
    return {name: value for name, value in options.items() if value is not None}, (
        password,
        passphrase,
        extra.get("private_key"),
    )


def _private_key(source: Source, text: str, passphrase: str | None) -> Any:
    import paramiko

    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text), password=passphrase)
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    raise _unusable(
        source,
        "a `private_key` that cannot be read",
        "a PEM or OpenSSH private key (Ed25519, ECDSA or RSA), and `private_key_passphrase` when it has one",
        "paste the whole key file, with its line ends",
    )


def _host_key(source: Source, text: str) -> Any:
    import paramiko

    kind, _, encoded = text.strip().rpartition(" ")
    try:
        return paramiko.PKey.from_type_string(kind.split(" ")[-1] or "ssh-rsa", base64.b64decode(encoded))
    except (paramiko.SSHException, ValueError, IndexError):
        raise _unusable(
            source,
            "a `host_key` that cannot be read",
            "type and key as ssh-keyscan prints them: ssh-ed25519 AAAA...",
            "copy it from the server's administrator",
        ) from None


def _http(asked: _Asked) -> _Translated:
    source, connection, extra = asked.source, asked.connection, asked.extra
    if connection is None:
        return {}, ()
    if connection.host:
        _same_host(source, asked.url, connection)
    given = extra.get("headers") or {}
    if not isinstance(given, dict):
        raise _unusable(source, "`headers` that are no JSON object", "names and values", "correct `headers`")
    headers = {name: str(value) for name, value in extra.items() if name not in _HTTP_NO_HEADERS}
    headers |= {name: str(value) for name, value in given.items()}
    secrets: list[Any] = [connection.password, *headers.values()]
    # "Bearer abc" may show up in a message without its first word.
    secrets += [value.rpartition(" ")[2] for value in headers.values()]
    bearer = extra.get("bearer") or (connection.password if not connection.login else None)
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
        secrets.append(bearer)
    elif connection.login:
        pair = base64.b64encode(f"{connection.login}:{connection.password or ''}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
        secrets.append(pair)
    return {"client_kwargs": {"headers": headers}}, secrets


_TRANSLATIONS: dict[str, Callable[[_Asked], _Translated]] = {
    LOCAL: lambda _asked: ({}, ()),
    S3: _s3,
    GCS: _gcs,
    SFTP: _sftp,
    HTTP: _http,
}
