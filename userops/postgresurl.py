"""PostgreSQL URLs: read by one rule wherever a setting holds one, and what of them may be shown.

The rule is narrower than that of the drivers. They take what follows an unescaped `/` or `@` in a password for a host,
a port or a database, and say it in their errors; such a URL is refused before a driver sees it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

EXPECTED = (
    "a URL such as postgresql://user:password@host:5432/database; in user and password all but letters, digits, - and "
    "_ is percent-encoded (@ is %40, / is %2F, % is %25)"
)
_MASK = "***"
_HOST = r"(?:\[[0-9a-fA-F:.]+\]|[^@/?:,\[\]]*)(?::[0-9]*)?"
_URL = re.compile(
    rf"postgres(?:ql)?(?P<driver>\+\w+)?://(?:(?P<user>[^@/:]*)(?::(?P<password>[^@/]*))?@)?(?P<hosts>{_HOST}(?:,{_HOST})*)"
    r"(?:/(?P<database>[^@/?]*))?(?:\?(?P<query>[^@?]*))?"
)
_NO_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})|%00")


@dataclass(frozen=True)
class PostgresUrl:
    """What may be shown of a PostgreSQL URL, and what may not.

    Attributes:
        place: host and database: no user, no password.
        secrets: every spelling of its passwords.
    """

    place: str
    secrets: tuple[str, ...]

    def masked(self, text: str) -> str:
        """Return `text`, a driver's message say, without the passwords of the URL."""
        for secret in self.secrets:
            text = text.replace(secret, _MASK)
        return text


def read_postgres_url(url: str, with_driver: bool = False) -> PostgresUrl:
    """Take a URL apart.

    Args:
        with_driver: whether the scheme may name one, as SQLAlchemy's do (`postgresql+psycopg2://`).

    Raises:
        ValueError: it is none; the message says what is expected, and nothing of what was found.
    """
    found = _URL.fullmatch(url)
    if not found or (found["driver"] and not with_driver) or _NO_ESCAPE.search(url) or re.search(r"\s", url):
        raise ValueError(EXPECTED)
    hosts = [re.sub(r":\d*$", "", host) for host in found["hosts"].split(",")]
    place = f"{','.join(filter(None, hosts)) or 'local socket'}/{unquote(found['database'] or '')}"
    given = [found["password"] or ""]
    given += [value for key, value in parse_qsl(found["query"] or "") if "password" in key.lower()]
    spellings = {spelling for secret in given for spelling in (secret, unquote(secret)) if spelling}
    return PostgresUrl(place, tuple(sorted(spellings, key=len, reverse=True)))
