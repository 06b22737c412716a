"""PostgreSQL URLs: what may be shown of them, and which are refused."""

from __future__ import annotations

import pytest

from userops.postgresurl import read_postgres_url


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://writer:s3cret@127.0.0.1:5432/shop", "127.0.0.1/shop"),
        ("postgres://writer@db.example.com", "db.example.com/"),
        ("postgresql://u:s3cret@[::1]:5432/shop?sslmode=require", "[::1]/shop"),
        ("postgresql://u:s3cret@one:5432,two:5433/shop", "one,two/shop"),
        ("postgresql://postgres:@/postgres?host=/tmp/somewhere", "local socket/postgres"),
        ("postgresql://u:s3c%2Fret:#more?@host/shop", "host/shop"),
    ],
)
def test_only_host_and_database_are_shown(url, place):
    assert read_postgres_url(url).place == place


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:1234/bcd@host/shop", "postgresql://u:1234/bcd?e@host/shop", "postgresql://u:a@b@host/shop",
        "postgresql://u:100%@host/shop", "postgresql://u:a%00b@host/shop", "postgresql://u:a b@host/shop",
        "postgresql://u:a@host:port/shop", "postgresql+psycopg2://u:a@host/shop", "host=host password=a", "",
    ],
)  # fmt: skip
def test_what_a_driver_would_misread_is_refused(url):
    with pytest.raises(ValueError, match="percent-encoded"):
        read_postgres_url(url)


def test_a_password_is_masked_as_it_is_written_and_as_it_is_meant():
    url = read_postgres_url("postgresql://u:a%2Fb@host/shop?sslpassword=other")
    assert url.masked("user u, a/b, a%2Fb, other") == "user u, ***, ***, ***"
