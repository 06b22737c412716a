"""Publishing: whole or not at all, nothing changed when nothing changed, readers never in the way."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb
import pytest

from userops.config import Settings
from userops.errors import BuildError, PublishDelayedError, PublishError
from userops.steps import StepContext
from userops.warehouse.publication import PUBLICATION_COLUMNS
from userops.warehouse.publish import publish

Rebuild = Callable[..., None]


def orders_in_duckdb(settings: Settings) -> int:
    with closing(duckdb.connect(str(settings.paths.published_duckdb), read_only=True)) as connection:
        return int(connection.execute("select count(*) from fct_orders").fetchall()[0][0])


def orders_in_parquet(settings: Settings) -> int:
    pattern = settings.paths.published_parquet / "fct_orders" / "*.parquet"
    return int(duckdb.execute(f"select count(*) from '{pattern}'").fetchall()[0][0])


def listed_in_csv(settings: Settings, day: str = "2024-06-30") -> int:
    file = settings.paths.published_exports / "churn_warning" / f"as_of_date={day}" / "churn_warning.csv"
    return len(file.read_text(encoding="utf-8-sig").splitlines()) - 1


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and modification time of every file that readers see."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for top in ("marts.duckdb", "parquet", "exports")
        for path in ([folder / top] if (folder / top).is_file() else sorted((folder / top).resolve().rglob("*.*")))
        for path in [path if path.is_relative_to(folder) else folder / path]
        if path.is_file()
    }


def test_marts_tables_are_published_with_comments_and_nothing_else(context: StepContext) -> None:
    report = publish(context)

    with closing(duckdb.connect(str(context.settings.paths.published_duckdb), read_only=True)) as connection:
        tables = dict(connection.execute("select table_name, comment from duckdb_tables()").fetchall())
        column = connection.execute(
            "select comment from duckdb_columns() where table_name = 'fct_orders' and column_name = 'order_id'"
        ).fetchone()
        described = connection.execute("select as_of_date, max_batch_seq, model_version from _publication").fetchall()
    assert set(tables) == {"fct_orders", "fct_churn_scores", "export_churn_warning_list", "_publication"}
    assert tables["fct_orders"] == "Orders, one row each. 订单"
    assert column == ("id of the order 订单 ID",)
    assert described == [(date(2024, 6, 30), 0, "churn-1")]
    assert orders_in_parquet(context.settings) == orders_in_duckdb(context.settings) == 1000
    assert report.counts["rows_fct_orders"] == 1000
    assert report.counts["list_churn_warning"] == 3


def test_the_published_file_has_the_configured_storage_version(context: StepContext) -> None:
    publish(context)

    header = context.settings.paths.published_duckdb.read_bytes()[:16]
    assert header[8:12] == b"DUCK"
    assert header[12] == 65  # what DuckDB 1.2 writes and every later version reads


def test_a_disk_that_takes_no_more_is_told_and_leaves_what_is_published(
    context: StepContext, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    publish(context)
    before = snapshot(context.settings.paths.published)
    rebuild(orders=2000)
    monkeypatch.setattr("userops.warehouse.publish.write_list", full)

    with pytest.raises(PublishDelayedError, match="No space left on device"):
        publish(context)
    assert snapshot(context.settings.paths.published) == before


def test_a_place_that_cannot_be_written_is_a_readable_error(context: StepContext) -> None:
    context.settings.paths.published.write_text("no folder")

    with pytest.raises(PublishError, match="disk space, permissions"):
        publish(context)


def test_an_unknown_storage_version_is_a_readable_error(context: StepContext) -> None:
    section = context.settings.publish.model_copy(update={"storage_version": "v77"})
    settings = context.settings.model_copy(update={"publish": section})

    with pytest.raises(PublishError, match="storage_version"):
        publish(StepContext(settings, context.as_of))
    assert not settings.paths.published_duckdb.exists()


def test_publishing_twice_changes_nothing(context: StepContext) -> None:
    publish(context)
    before = snapshot(context.settings.paths.published)

    report = publish(context)

    assert "nothing changed" in report.summary
    assert snapshot(context.settings.paths.published) == before
    assert len(before) == 1 + 3 + 3  # marts.duckdb, Parquet of three tables, three files of one list


def test_rewriting_equal_marts_in_another_row_order_changes_nothing(context: StepContext) -> None:
    publish(context)
    before = snapshot(context.settings.paths.published)
    with closing(duckdb.connect(str(context.settings.paths.warehouse))) as connection:
        connection.execute("create or replace table marts.fct_orders as from marts.fct_orders order by hash(order_id)")

    publish(context)

    assert snapshot(context.settings.paths.published) == before


def test_another_day_keeps_the_lists_of_the_days_before(context: StepContext) -> None:
    publish(context)
    exports = context.settings.paths.published_exports
    before = snapshot(context.settings.paths.published)

    publish(StepContext(context.settings, date(2024, 7, 1)))

    assert sorted(path.name for path in (exports / "churn_warning").iterdir()) == [
        "as_of_date=2024-06-30",
        "as_of_date=2024-07-01",
    ]
    after = snapshot(context.settings.paths.published)
    first_day = {name: content for name, content in before.items() if "as_of_date=2024-06-30" in name}
    renamed = {Path(name).name: content for name, content in first_day.items()}
    assert renamed == {Path(name).name: content for name, content in after.items() if "as_of_date=2024-06-30" in name}


def test_republishing_a_day_replaces_its_lists_and_no_others(context: StepContext, rebuild: Rebuild) -> None:
    publish(context)
    publish(StepContext(context.settings, date(2024, 7, 1)))
    rebuild(listed=2)

    publish(context)

    assert listed_in_csv(context.settings, "2024-06-30") == 2
    assert listed_in_csv(context.settings, "2024-07-01") == 3


def test_an_empty_list_is_published_as_empty(context: StepContext, rebuild: Rebuild) -> None:
    rebuild(listed=0)

    publish(context)

    assert listed_in_csv(context.settings) == 0


_READER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
print(connection.execute("select count(*) from fct_orders").fetchone()[0], flush=True)
sys.stdin.readline()
print(connection.execute("select count(*), max(net_amount) from fct_orders").fetchone()[0], flush=True)
"""


def test_a_reader_that_holds_the_file_never_blocks_and_keeps_its_snapshot(
    context: StepContext, rebuild: Rebuild
) -> None:
    publish(context)
    reader = subprocess.Popen(
        [sys.executable, "-c", _READER, str(context.settings.paths.published_duckdb)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    assert reader.stdout.readline() == "1000\n"

    for orders in (2000, 3000, 4000):  # three: the reader's version is then no longer among the kept ones
        rebuild(orders=orders)
        publish(context)
    answer, _ = reader.communicate("go on\n", timeout=30)

    assert answer == "1000\n"
    assert orders_in_duckdb(context.settings) == 4000


def test_only_the_present_and_the_previous_version_are_kept(context: StepContext, rebuild: Rebuild) -> None:
    for orders in (1, 2, 3, 4):
        rebuild(orders=orders)
        publish(context)

    versions = context.settings.paths.published / ".versions"
    assert sorted(path.name for path in versions.iterdir()) == ["000003", "000004"]


_KILLED = """
import os, signal, sys
from datetime import date
from userops.config import load_settings
from userops.steps import StepContext
from userops.warehouse import publish as module

def kill_at(name, number):
    original, calls = getattr(module, name), []
    def wrapper(*arguments, **keywords):
        calls.append(1)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **keywords)
    setattr(module, name, wrapper)

kill_at(sys.argv[1], int(sys.argv[2]))
module.publish(StepContext(load_settings(), date(2024, 6, 30)))
"""


@pytest.mark.parametrize(
    ("function", "call"),
    [
        ("write_list", 1),  # Parquet is written, the lists are not
        ("_comment", 2),  # in the middle of marts.duckdb
        ("_keep_other_dates", 1),  # everything is built, nothing is linked
        ("_flush", 1),  # before the staged folder becomes a version
        ("_point", 1),  # the version stands, no link was moved
        ("_point", 4),  # the last moment: the next call moves `current`
    ],
)
def test_a_kill_in_the_middle_leaves_the_old_publication_whole(
    context: StepContext, rebuild: Rebuild, monkeypatch: pytest.MonkeyPatch, function: str, call: int
) -> None:
    settings = context.settings
    publish(context)
    before = snapshot(settings.paths.published)
    rebuild(orders=2000, listed=2)
    monkeypatch.setenv("USEROPS_HOME", str(settings.home))
    monkeypatch.setenv("USEROPS_CONFIG", str(settings.config))

    killed = subprocess.run([sys.executable, "-c", _KILLED, function, str(call)], capture_output=True, check=False)

    assert killed.returncode == -9, killed.stderr.decode()
    assert snapshot(settings.paths.published) == before
    publish(context)
    assert orders_in_duckdb(settings) == orders_in_parquet(settings) == 2000
    assert listed_in_csv(settings) == 2
    assert not list(settings.paths.published.glob(".staging-*"))
    assert len(list((settings.paths.published / ".versions").iterdir())) == 2


def test_readers_see_one_publication_whole_at_any_moment(context: StepContext, rebuild: Rebuild) -> None:
    """Between any two steps of publishing, DuckDB file, Parquet and list agree with each other."""
    publish(context)
    rebuild(orders=2000, listed=2)
    seen: set[tuple[int, int, int]] = set()

    def look(*_: object) -> None:
        state = (
            orders_in_duckdb(context.settings),
            orders_in_parquet(context.settings),
            listed_in_csv(context.settings),
        )
        seen.add(state)

    events = {"os.rename", "os.symlink", "os.remove", "shutil.rmtree", "os.mkdir"}
    active = [True]

    def hook(event: str, _: tuple[object, ...]) -> None:
        if active and event in events:
            active.clear()
            look()
            active.append(True)

    sys.addaudithook(hook)
    try:
        publish(context)
    finally:
        active.clear()
    look()
    assert seen == {(1000, 1000, 3), (2000, 2000, 2)}


def test_a_publication_describes_itself(context: StepContext) -> None:
    publish(context)

    described = json.loads((context.settings.paths.published / "current" / "publication.json").read_text())
    assert described["as_of_date"] == "2024-06-30"
    assert described["rows"] == {"export_churn_warning_list": 9, "fct_churn_scores": 1, "fct_orders": 1000}
    with closing(duckdb.connect(str(context.settings.paths.published_duckdb), read_only=True)) as connection:
        columns = connection.execute("describe _publication").fetchall()
    assert {name: kind.lower() for name, kind, *_ in columns} == {
        name: column.data_type for name, column in PUBLICATION_COLUMNS.items()
    }


def test_without_a_warehouse_nothing_is_published(settings: Settings) -> None:
    with pytest.raises(BuildError, match="no warehouse file"):
        publish(StepContext(settings, date(2024, 6, 30)))


def test_a_mart_that_was_not_built_is_named(context: StepContext) -> None:
    with closing(duckdb.connect(str(context.settings.paths.warehouse))) as connection:
        connection.execute("drop table marts.export_churn_warning_list")

    with pytest.raises(BuildError, match="export_churn_warning_list"):
        publish(context)
    assert not context.settings.paths.published_duckdb.exists()


def test_a_folder_of_somebody_else_is_not_replaced(context: StepContext) -> None:
    stranger = context.settings.paths.published / "parquet" / "theirs.txt"
    stranger.parent.mkdir(parents=True)
    stranger.write_text("keep me")

    with pytest.raises(PublishError, match="did not make"):
        publish(context)
    assert stranger.read_text() == "keep me"
