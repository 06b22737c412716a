"""One clean and one dirty simulation, shared by the tests of this folder, and views over their files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from userops.simulate import SimulationOptions, SimulationResult, simulate

CLEAN = SimulationOptions(users=1_500, days=56, seed=7)
DIRTY = SimulationOptions(users=1_500, days=56, seed=7, dirt=0.05)


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> SimulationResult:
    """A clean simulation: 1,500 users over eight weeks."""
    return simulate(tmp_path_factory.mktemp("clean"), CLEAN)


@pytest.fixture(scope="session")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> SimulationResult:
    """The same shop with every kind of dirt."""
    return simulate(tmp_path_factory.mktemp("dirty"), DIRTY)


@pytest.fixture(scope="session")
def clean_tables(clean: SimulationResult) -> Iterator[duckdb.DuckDBPyConnection]:
    """The files of the clean simulation as tables, for `clean_shop`."""
    with duckdb.connect() as connection:
        load(connection, clean.landing, clean.ground_truth)
        yield connection


@pytest.fixture
def clean_shop(clean_tables: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """Tables events, orders, items, users, truth of the clean simulation; `file` is the file name, times are local.

    What a test changes is taken back.
    """
    with clean_tables.cursor() as connection:
        connection.begin()
        yield connection
        connection.rollback()


def load(connection: duckdb.DuckDBPyConnection, landing: Path, truth: Path) -> None:
    """Read all export files as text columns (parquet: as they are)."""
    connection.execute(f"""
        create table events as
        select *, parse_filename(filename) as file, strptime(ts[1:23], '%Y-%m-%dT%H:%M:%S.%g') as local_time
        from read_json('{landing}/events/*.jsonl.gz', format = 'newline_delimited', filename = true, columns = {{
            id: 'varchar', ts: 'varchar', event: 'varchar', uid: 'varchar', device_id: 'varchar', sid: 'varchar',
            channel: 'varchar', device: 'varchar', page: 'varchar', item: 'varchar', cat: 'varchar',
            amount: 'decimal(18,2)', props: 'json'}})
    """)
    for name in ("orders", "order_items"):
        connection.execute(f"""
            create table {name} as select *, parse_filename(filename) as file
            from read_csv('{landing}/{name}/*.csv*', header = true, all_varchar = true, filename = true)
        """)
    connection.execute(f"create table users as from read_parquet('{landing}/users/*.parquet', filename = 'file')")
    connection.execute(f"create table truth as from '{truth}/users.parquet'")
