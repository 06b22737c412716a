"""Settings of deliveries: everything off by default, no secret in a file.

Passwords, robot addresses (they hold the token) and signing secrets come from the environment only:
`USEROPS_DELIVERY__EMAIL__PASSWORD`, `USEROPS_DELIVERY__ROBOTS__<NAME>__URL` and `..._SECRET`. That they are there is
asked when something is sent, not when the settings are read: who only looks at tables need not know them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, SecretStr, field_validator, model_validator

from userops.lists.registry import LISTS

Platform = Literal["dingtalk", "wecom", "feishu"]

_ADDRESS = re.compile(r"[^@\s,;:<>\"()\[\]\\]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_ROBOT_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_DEFAULT_PORTS = {"starttls": 587, "ssl": 465, "plain": 25}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Recipients(_Section):
    """Who gets one list by e-mail."""

    all: tuple[str, ...] = Field((), description="addresses that get the whole list")
    teams: dict[str, tuple[str, ...]] = Field({}, description="addresses that get the rows of one team, by team")

    @model_validator(mode="after")
    def _addresses(self) -> Self:
        given = [*self.all, *(address for addresses in self.teams.values() for address in addresses)]
        wrong = [address for address in given if not _ADDRESS.fullmatch(address) or not address.isascii()]
        if wrong:
            raise ValueError(f"addresses such as ops@example.com, not {', '.join(wrong)}")
        for addresses in (self.all, *self.teams.values()):
            if len(set(addresses)) < len(addresses):
                raise ValueError("every address once")
        return self


class EmailSettings(_Section):
    """Lists by e-mail, through an SMTP server."""

    enabled: bool = Field(False, description="whether lists are mailed")
    host: str | None = Field(None, description="SMTP server")
    port: int | None = Field(None, ge=1, le=65535, description="default: 587 (starttls), 465 (ssl), 25 (plain)")
    security: Literal["starttls", "ssl", "plain"] = Field("starttls", description="how the line is encrypted")
    ca_file: Path | None = Field(None, description="certificates that vouch for the server, besides the system's")
    username: str | None = Field(None, description="login; the password is in USEROPS_DELIVERY__EMAIL__PASSWORD")
    password: SecretStr | None = Field(None, description="only from the environment")
    sender: str | None = Field(None, description="address in From")
    attach: tuple[Literal["xlsx", "csv"], ...] = Field(("xlsx",), description="files that are attached")
    max_attachment_mb: PositiveInt = Field(15, description="larger files are not attached, the mail says so")
    recipients: dict[str, Recipients] = Field({}, description="who gets which list, by list")

    @field_validator("sender")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and (not _ADDRESS.fullmatch(value) or not value.isascii()):
            raise ValueError("an address such as userops@example.com")
        return value

    @field_validator("recipients")
    @classmethod
    def _known_lists(cls, value: dict[str, Recipients]) -> dict[str, Recipients]:
        _refuse_unknown_lists(value)
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.enabled:
            missing = [name for name in ("host", "sender", "recipients") if not getattr(self, name)]
            if missing:
                raise ValueError(f"{', '.join(missing)} given when `enabled` is true")
        if self.username is not None and self.security == "plain":
            raise ValueError("security starttls or ssl with a username: a password never goes over an open line")
        return self

    @property
    def server_port(self) -> int:
        """The port that is used."""
        return self.port or _DEFAULT_PORTS[self.security]


class RobotSettings(_Section):
    """A robot in a chat group that tells of lists."""

    platform: Platform = Field(description="dingtalk, wecom or feishu")
    enabled: bool = Field(True, description="whether it is told")
    lists: tuple[str, ...] = Field(("churn_warning",), min_length=1, description="lists it tells of")
    team: str | None = Field(None, description="only the rows of this team")
    format: Literal["markdown", "text"] = Field("markdown", description="how its messages are written")
    name_users: int = Field(0, ge=0, le=20, description="so many user ids from the top of the list; 0: figures only")
    url: SecretStr | None = Field(None, description="webhook address, with its token; only from the environment")
    secret: SecretStr | None = Field(None, description="signing secret; only from the environment")

    @field_validator("lists")
    @classmethod
    def _known_lists(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _refuse_unknown_lists(value)
        return value

    @field_validator("url")
    @classmethod
    def _encrypted(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = urlsplit(value.get_secret_value())
            local = parts.hostname in ("127.0.0.1", "::1", "localhost")
            if not parts.hostname or parts.scheme not in (("https", "http") if local else ("https",)):
                raise ValueError("the robot's https:// address")
        return value


class DeliverySettings(_Section):
    """Where published lists are sent."""

    link_base: str | None = Field(
        None, pattern=r"^https?://\S+$", description="web address under which people reach the folder published/"
    )
    attempts: PositiveInt = Field(4, le=10, description="tries of one message while a server is unreachable or busy")
    timeout_seconds: PositiveInt = Field(30, description="longest wait for an answer")
    max_age_days: int = Field(
        2, ge=0, description="the daily run sends no list older than this; `userops deliver` by hand does"
    )
    email: EmailSettings = EmailSettings()
    robots: dict[str, RobotSettings] = Field({}, description="chat groups' robots, by a name of your choice")

    @field_validator("robots")
    @classmethod
    def _names_for_variables(cls, value: dict[str, RobotSettings]) -> dict[str, RobotSettings]:
        wrong = [name for name in value if not _ROBOT_NAME.fullmatch(name)]
        if wrong:
            raise ValueError(f"names of small letters, digits and single _, not {', '.join(wrong)}")
        return value

    @property
    def is_on(self) -> bool:
        """Whether anything is sent anywhere."""
        return self.email.enabled or any(robot.enabled for robot in self.robots.values())


def secrets_in(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys of a settings file that must not be in a file."""
    delivery = _mapping(document.get("delivery"))
    if _mapping(delivery.get("email")).get("password") is not None:
        yield "delivery.email.password"
    for name, robot in _mapping(delivery.get("robots")).items():
        yield from (
            f"delivery.robots.{name}.{key}" for key in ("url", "secret") if _mapping(robot).get(key) is not None
        )


def variable(dotted_key: str) -> str:
    """Return the environment variable of a settings key."""
    return "USEROPS_" + dotted_key.upper().replace(".", "__")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _refuse_unknown_lists(names: Iterable[str]) -> None:
    known = [export.name for export in LISTS]
    wrong = [name for name in names if name not in known]
    if wrong:
        raise ValueError(f"lists out of {', '.join(known)}, not {', '.join(wrong)}")
