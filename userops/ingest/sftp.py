"""SFTP with host keys that are checked. fsspec's own file system trusts every server it meets."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import paramiko
from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.implementations.sftp import SFTPFileSystem
from paramiko import BadHostKeyException
from paramiko import SSHException as SshError

__all__ = ["REFUSALS", "BadHostKeyException", "SftpFiles", "SshError", "UnknownHostKey"]

_BLOCK = 1 << 20
#: Bytes asked for in one request: what OpenSSH answers at most. Over a long line the size of a request is the speed.
_LARGE_REQUEST = 255 * 1024

# Without a handler of its own paramiko's tracebacks land on the terminal; what matters is in the exception.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class UnknownHostKey(SshError):  # type: ignore[misc]  # paramiko has no types
    """The server shows a key that nobody has vouched for.

    Attributes:
        told: the key's fingerprint and its line for a known_hosts file.
    """

    def __init__(self, hostname: str, key: paramiko.PKey) -> None:
        self.told = (
            f"{key.get_name()} {key.fingerprint}, known_hosts line `{hostname} {key.get_name()} {key.get_base64()}`"
        )
        super().__init__(self.told)


#: Errors that no second try mends.
REFUSALS = (paramiko.AuthenticationException, BadHostKeyException, UnknownHostKey)


class _RefuseUnknown(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002
        raise UnknownHostKey(hostname, key)


class SftpFiles(SFTPFileSystem):  # type: ignore[misc]  # fsspec has no types
    """fsspec's SFTP file system, with known hosts, and with paths that are never read as URLs.

    Args:
        host: the server.
        host_key: its one key; without it, the files of known hosts count.
        known_hosts: a file as OpenSSH keeps it; may be missing.
        remembered_hosts: where the key of a server met for the first time is kept; without it such a server is refused.
        silence: seconds without an answer after which a call fails.
        options: arguments of paramiko's `SSHClient.connect`.
    """

    def __init__(
        self,
        host: str,
        known_hosts: str,
        silence: float,
        host_key: paramiko.PKey | None = None,
        remembered_hosts: str | None = None,
        **options: Any,
    ) -> None:
        self._host_key = host_key
        self._known_hosts = Path(known_hosts)
        self._remembered_hosts = Path(remembered_hosts) if remembered_hosts else None
        self._silence = silence
        super().__init__(host, **options)

    def _connect(self) -> None:
        self.client = paramiko.SSHClient()
        self.client.set_missing_host_key_policy(_RefuseUnknown())
        if self._host_key is not None:
            port = self.ssh_kwargs.get("port", paramiko.config.SSH_PORT)
            name = self.host if port == paramiko.config.SSH_PORT else f"[{self.host}]:{port}"
            self.client.get_host_keys().add(name, self._host_key.get_name(), self._host_key)
        else:
            self._load_known_hosts()
        try:
            self.client.connect(self.host, **self.ssh_kwargs)
            self.ftp = self.client.open_sftp()
            self.ftp.get_channel().settimeout(self._silence)
        except BaseException:
            self.client.close()
            raise

    def _load_known_hosts(self) -> None:
        if self._known_hosts.is_file():
            self.client.load_system_host_keys(str(self._known_hosts))
        if self._remembered_hosts is not None:
            self._remembered_hosts.parent.mkdir(parents=True, exist_ok=True)
            self._remembered_hosts.touch(mode=0o600)
            self.client.load_host_keys(str(self._remembered_hosts))
            self.client.set_missing_host_key_policy(paramiko.AutoAddPolicy())

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path

    def get_file(
        self, rpath: str, lpath: str, callback: Callback = DEFAULT_CALLBACK, large_requests: bool = True, **_: Any
    ) -> None:
        """Copy a file, as long as it is at the start. `large_requests` are more than some servers can bear.

        paramiko's own way to be fast, `prefetch`, sends from two threads at once without a lock: now and then both
        wait for ever.
        """
        size = self.ftp.stat(rpath).st_size
        callback.set_size(size)
        with self.ftp.open(rpath, "rb") as remote, Path(lpath).open("wb") as local:
            if large_requests:
                remote.MAX_REQUEST_SIZE = _LARGE_REQUEST
            while block := remote.read(min(_BLOCK, size - local.tell())):
                local.write(block)
                callback.relative_update(len(block))
