"""The marts in PostgreSQL, for BI tools that speak nothing else: schema `marts`, replaced whole.

Rows go as Arrow from DuckDB through ADBC into schema `marts_new`; one transaction then renames `marts` away and
`marts_new` to `marts`. A query that runs keeps the tables it started on, the next one sees the new ones, nobody half.
The schema that was renamed away is dropped afterwards, or, while a long query still reads it, by the next run.

What roles may do with schema, tables and columns goes over to the new ones, and so do the default privileges of the
schema, which say what they may do with a table that is new.

Views of other schemas on these tables belong to the tables they were made on and go with them: build such views in
dbt, or in the BI tool. A run that drops one says so in a warning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
from pydantic import SecretStr

from userops.errors import PublishDelayedError, PublishError
from userops.postgresurl import read_postgres_url
from userops.sqltext import identifier, literal
from userops.warehouse.marts import Mart, TableComments
from userops.warehouse.publication import (
    PUBLICATION_COLUMNS,
    PUBLICATION_COMMENTS,
    PUBLICATION_TABLE,
    Publication,
)

SCHEMA = "marts"
_NEW = "marts_new"
_OLD = "marts_old"
_ROWS_PER_BATCH = 100_000
#: Statements that give the new schema, and the tables and columns in it that the old one has too, the old privileges.
_GRANTS = f"""
with grants as (
    select 'schema {_NEW}' as target, '' as columns, privilege.*
    from pg_namespace as space
    cross join lateral aclexplode(space.nspacl) as privilege
    where space.nspname = '{SCHEMA}'
    union all
    select format('table {_NEW}.%I', new.relname), '', privilege.*
    from pg_class as new
    inner join pg_class as old on old.relname = new.relname and old.relnamespace = to_regnamespace('{SCHEMA}')
    cross join lateral aclexplode(old.relacl) as privilege
    where new.relnamespace = to_regnamespace('{_NEW}') and new.relkind = 'r'
    union all
    select format('table {_NEW}.%I', new.relname), format(' (%I)', new_column.attname), privilege.*
    from pg_class as new
    inner join pg_attribute as new_column on new_column.attrelid = new.oid
    inner join pg_class as old on old.relname = new.relname and old.relnamespace = to_regnamespace('{SCHEMA}')
    inner join pg_attribute as old_column
        on old_column.attrelid = old.oid and old_column.attname = new_column.attname
    cross join lateral aclexplode(old_column.attacl) as privilege
    where new.relnamespace = to_regnamespace('{_NEW}') and new.relkind = 'r'
)
select format(
    'grant %s%s on %s to %s%s', privilege_type, columns, target,
    case grantee when 0 then 'public' else grantee::regrole::text end,
    case when is_grantable then ' with grant option' else '' end
)
from grants
where grantee <> quote_ident(current_user)::regrole
"""
#: Statements that give the new schema the default privileges of the old one, for tables this user makes.
_DEFAULT_GRANTS = f"""
select format(
    'alter default privileges for role %s in schema {_NEW} grant %s on %s to %s%s',
    defaclrole::regrole, privilege_type,
    case defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' else 'types' end,
    case grantee when 0 then 'public' else grantee::regrole::text end,
    case when is_grantable then ' with grant option' else '' end
)
from pg_default_acl
cross join lateral aclexplode(defaclacl)
where defaclnamespace = to_regnamespace('{SCHEMA}') and pg_has_role(defaclrole, 'usage')
"""
#: How long to wait for readers of the schema that was replaced before leaving it to the next run.
_DROP_WAIT = "5s"
#: SQLSTATE of a statement that waited too long for a lock.
_LOCK_TIMEOUT = "55P03"
#: Classes of SQLSTATE that may pass: connection, rollback, resources, objects in use, operator's intervention.
_PASSING = ("08", "40", "53", "55", "57")


def publish_to_postgres(
    parquet: Path, url: SecretStr, publication: Publication, marts: Mapping[str, Mart]
) -> list[str]:
    """Replace schema `marts` by the tables in `parquet` (`<table>/<table>.parquet`); return warnings.

    Nothing is sent when the schema already holds a publication with the same fingerprint.

    Raises:
        PublishError: the server refuses; its schema `marts` is as before.
        PublishDelayedError: the server cannot be reached, or not now; the same.
    """
    import adbc_driver_postgresql.dbapi as postgres

    server = read_postgres_url(url.get_secret_value())
    try:
        with closing(postgres.connect(url.get_secret_value())) as connection, closing(connection.cursor()) as cursor:
            if _published_fingerprint(cursor) == publication.fingerprint:
                return []
            _refuse_foreign_schema(cursor)
            connection.rollback()
            _drop_old_schemas(connection, cursor)
            cursor.execute(f"drop schema if exists {_NEW} cascade")
            cursor.execute(f"create schema {_NEW}")
            _run_each(cursor, _DEFAULT_GRANTS)  # before there are tables: they are made with these privileges
            _load_tables(cursor, parquet, marts)
            _write_publication_table(cursor, publication)
            connection.commit()
            warnings = _swap_schemas(connection, cursor)
            return warnings + _drop_old_schemas(connection, cursor)
    except postgres.Error as error:
        # What fails without a code of the server's is the line to it.
        may_pass = error.sqlstate[:2] in _PASSING if error.sqlstate else isinstance(error, postgres.OperationalError)
        raise (PublishDelayedError if may_pass else PublishError)(
            f"PostgreSQL at {server.place}", server.masked(str(error)).splitlines()[0],
            "a server that takes schema `marts`",
            "check publish.postgres_url, the server and the right to create schemas; its tables are as before",
        ) from None  # fmt: skip


def _published_fingerprint(cursor: Any) -> str | None:
    if not _rows(
        cursor, f"select 1 from pg_tables where schemaname = '{SCHEMA}' and tablename = '{PUBLICATION_TABLE}'"
    ):
        return None
    found = _rows(cursor, f"select fingerprint from {SCHEMA}.{PUBLICATION_TABLE}")
    return str(found[0][0]) if found else None


def _refuse_foreign_schema(cursor: Any) -> None:
    """Stop before replacing a schema `marts` that somebody else filled."""
    tables = [
        name for (name,) in _rows(cursor, f"select tablename from pg_tables where schemaname = '{SCHEMA}' order by 1")
    ]
    if tables and PUBLICATION_TABLE not in tables:
        raise PublishError(
            f"PostgreSQL, schema `{SCHEMA}`", f"tables that publishing did not make: {', '.join(tables[:5])}",
            f"no schema `{SCHEMA}`, an empty one, or one made by publishing", "publish into a database of its own",
        )  # fmt: skip


def _load_tables(cursor: Any, parquet: Path, marts: Mapping[str, Mart]) -> None:
    with closing(duckdb.connect(":memory:")) as source:
        source.execute("set timezone = 'UTC'")
        for name, mart in marts.items():
            relation = f"read_parquet({literal(str(parquet / name / f'{name}.parquet'))})"
            columns = source.execute(f"describe select * from {relation}").fetchall()
            selected = ", ".join(_for_postgres(column, kind) for column, kind, *_ in columns)
            batches = source.sql(f"select {selected} from {relation}").to_arrow_reader(_ROWS_PER_BATCH)
            cursor.adbc_ingest(name, batches, mode="create", db_schema_name=_NEW)
            _comment(cursor, name, mart.comments, [row[0] for row in columns])
            cursor.execute(f"analyze {_NEW}.{identifier(name)}")


def _for_postgres(name: str, kind: str) -> str:
    """Return the column as PostgreSQL can hold it: no NUL in text, structures as JSON text."""
    column = identifier(name)
    if kind == "VARCHAR":
        return f"replace({column}, chr(0), '') as {column}"
    if kind.startswith(("STRUCT", "MAP", "UNION", "JSON")):
        return f"to_json({column})::varchar as {column}"
    return column


def _comment(cursor: Any, table: str, comments: TableComments, columns: Sequence[str]) -> None:
    name = f"{_NEW}.{identifier(table)}"
    if comments.table:
        cursor.execute(f"comment on table {name} is {literal(comments.table)}")
    for column, text in comments.columns.items():
        if text and column in columns:
            cursor.execute(f"comment on column {name}.{identifier(column)} is {literal(text)}")


def _write_publication_table(cursor: Any, publication: Publication) -> None:
    selected = ", ".join(
        f"{literal(value)}::{column.data_type} as {name}"
        for (name, column), value in zip(PUBLICATION_COLUMNS.items(), publication.row(), strict=True)
    )
    cursor.execute(f"create table {_NEW}.{PUBLICATION_TABLE} as select {selected}")
    _comment(cursor, PUBLICATION_TABLE, PUBLICATION_COMMENTS, list(PUBLICATION_COLUMNS))


def _swap_schemas(connection: Any, cursor: Any) -> list[str]:
    """Rename old away and new in, in one transaction; return a warning when views of others go with the old one."""
    schemas = {name for (name,) in _rows(cursor, "select nspname from pg_namespace")}
    views = _views_of_others(cursor) if SCHEMA in schemas else []
    if SCHEMA in schemas:
        _run_each(cursor, _GRANTS)
        number = next(number for number in range(1, len(schemas) + 2) if f"{_OLD}_{number}" not in schemas)
        cursor.execute(f"alter schema {SCHEMA} rename to {_OLD}_{number}")
    cursor.execute(f"alter schema {_NEW} rename to {SCHEMA}")
    connection.commit()
    if not views:
        return []
    return [f"PostgreSQL views on the replaced tables were dropped: {', '.join(views)}; build them in dbt instead"]


def _run_each(cursor: Any, statements: str) -> None:
    """Execute every statement that the query `statements` returns."""
    for (statement,) in _rows(cursor, statements):
        cursor.execute(statement)


def _views_of_others(cursor: Any) -> list[str]:
    """Views outside schema `marts` that read its tables."""
    found = _rows(
        cursor,
        f"""
        select distinct view_space.nspname || '.' || reader.relname
        from pg_depend
        inner join pg_rewrite on pg_rewrite.oid = pg_depend.objid and pg_depend.classid = 'pg_rewrite'::regclass
        inner join pg_class as reader on reader.oid = pg_rewrite.ev_class
        inner join pg_namespace as view_space on view_space.oid = reader.relnamespace
        inner join pg_class as source on source.oid = pg_depend.refobjid and pg_depend.refclassid = 'pg_class'::regclass
        inner join pg_namespace as source_space on source_space.oid = source.relnamespace
        where source_space.nspname = '{SCHEMA}' and view_space.nspname <> '{SCHEMA}'
        order by 1
        """,
    )
    return [name for (name,) in found]


def _drop_old_schemas(connection: Any, cursor: Any) -> list[str]:
    """Drop schemas renamed away earlier; one that is still being read stays until the next run."""
    old = [name for (name,) in _rows(cursor, f"select nspname from pg_namespace where nspname like '{_OLD}\\_%'")]
    connection.commit()
    warnings = []
    for schema in old:
        try:
            cursor.execute(f"set local lock_timeout = '{_DROP_WAIT}'")
            cursor.execute(f"drop schema {identifier(schema)} cascade")
            connection.commit()
        except connection.Error as error:
            connection.rollback()
            if error.sqlstate != _LOCK_TIMEOUT:
                raise
            warnings.append(
                f"PostgreSQL schema {schema} is still being read; the next run drops it ({str(error).splitlines()[0]})"
            )
    return warnings


def _rows(cursor: Any, sql: str) -> list[tuple[Any, ...]]:
    cursor.execute(sql)
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
