"""Publishing: the marts out of the pipeline's private file, to where people read them, whole or not at all.

```
published/
  marts.duckdb -> current/marts.duckdb        what readers open; these three links never change
  parquet      -> current/parquet             parquet/<table>/<table>.parquet
  exports      -> current/exports             exports/<list>/as_of_date=YYYY-MM-DD/<list>.{csv,xlsx,parquet}
  current      -> .versions/000007            the one link that is swapped
  .versions/000007/{marts.duckdb,parquet/,exports/,publication.json}
  .versions/000006/...                        the version before, for readers that still have it open
```
Everything of a publication is built beside the present one, and then one `os.replace` of the link `current` makes
all of it visible at once: the DuckDB file, the Parquet files and the lists can never be of two different days, which
replacing them one by one could not promise. A kill before that moment leaves the present publication untouched; what
it left behind is removed by the next run. A reader that holds an old file open keeps it (POSIX keeps an open file).
A reader of many Parquet files that must all be of one publication resolves the link `current` once and reads there.

Lists of other business dates are taken over as hard links: same bytes, same times, no space. Publishing what is
already published changes nothing at all: the fingerprint of the new tables, lists and comments is compared first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from userops.config import Settings
from userops.errors import BuildError, PublishDelayedError, PublishError
from userops.lists.files import write_list
from userops.lists.registry import LISTS, Language
from userops.sqltext import identifier, literal
from userops.steps import StepContext, StepReport
from userops.warehouse.marts import Mart, TableComments, read_marts
from userops.warehouse.publication import (
    PUBLICATION_COLUMNS,
    PUBLICATION_COMMENTS,
    PUBLICATION_TABLE,
    Publication,
)

#: Name under which the warehouse file is attached.
_WAREHOUSE = "warehouse"
_KEPT_VERSIONS = 2
_LINKS = ("marts.duckdb", "parquet", "exports")


def publish(context: StepContext) -> StepReport:
    """Publish the marts of the warehouse as of `context.as_of`.

    Raises:
        BuildError: there is no warehouse, or it holds no marts.
        PublishError: a file could not be written, or PostgreSQL refused; what was published stays.
        PublishDelayedError: the disk is full, or PostgreSQL cannot be reached; the same.
    """
    try:
        return _publish(context)
    except (duckdb.Error, OSError) as error:
        kind = PublishDelayedError if isinstance(error, duckdb.IOException | OSError) else PublishError
        raise kind(
            str(context.settings.paths.published), str(error).splitlines()[0],
            "every mart written beside the published ones",
            "mend what the message says (disk space, permissions) and run `userops publish` again",
        ) from error  # fmt: skip


def _publish(context: StepContext) -> StepReport:
    settings = context.settings
    published = settings.paths.published
    _remove_leftovers(published)
    staging = published / f".staging-{os.getpid()}"
    staging.mkdir(parents=True)
    warnings: list[str] = []
    with closing(_open_marts(settings)) as connection:
        marts = _built_marts(connection, settings)
        rows = _write_parquet(connection, marts, staging / "parquet")
        language = settings.lists.language
        list_rows = _write_lists(connection, marts, context.as_of, staging / "exports", language)
        publication = _describe(connection, context, marts, rows, staging)
    changed = publication.fingerprint != published_fingerprint(settings)
    if changed:
        _write_duckdb(staging, marts, publication, settings)
    if settings.publish.postgres_url is not None:
        from userops.warehouse.postgres import publish_to_postgres

        # Before the swap: a PostgreSQL that refuses leaves everything as it was.
        warnings += publish_to_postgres(staging / "parquet", settings.publish.postgres_url, publication, marts)
    if changed:
        _keep_other_dates(published / "exports", staging / "exports")
        _swap(published, staging)
    else:
        shutil.rmtree(staging)
    return _report(context, publication, list_rows, changed, warnings)


def published_fingerprint(settings: Settings) -> str | None:
    """Return the fingerprint of what is published now; None when nothing (whole) is."""
    described = settings.paths.published / "current" / "publication.json"
    links = [settings.paths.published / name for name in _LINKS]
    if not described.exists() or not all(link.exists() for link in links):
        return None
    fingerprint: str = json.loads(described.read_text(encoding="utf-8"))["fingerprint"]
    return fingerprint


def _open_marts(settings: Settings) -> duckdb.DuckDBPyConnection:
    """Open the warehouse read only, as database `warehouse`, beside an empty one in memory."""
    path = settings.paths.warehouse
    if not path.exists():
        raise BuildError(str(path), "no warehouse file", "a warehouse built by dbt", "run `userops build` first")
    connection = _connect(settings)
    connection.execute(f"attach {literal(str(path))} as warehouse (read_only)")
    return connection


def _connect(settings: Settings) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": settings.engine.memory_limit,
        "threads": str(settings.engine.threads),
    }
    connection = duckdb.connect(":memory:", config=config)
    connection.execute("set timezone = 'UTC'")
    return connection


def _built_marts(connection: duckdb.DuckDBPyConnection, settings: Settings) -> dict[str, Mart]:
    """Return the marts of the dbt project, all of which must be in the warehouse."""
    marts = read_marts(settings)
    found = connection.execute(
        "select table_schema, table_name from information_schema.tables where table_catalog = 'warehouse'"
    ).fetchall()
    missing = [name for name, mart in marts.items() if (mart.schema, name) not in set(found)]
    if missing:
        raise BuildError(
            str(settings.paths.warehouse), f"no table {', '.join(missing)}", "every mart of the dbt project, built",
            "run `userops run`, or its steps build, features, score and lists, before publishing",
        )  # fmt: skip
    return marts


def _write_parquet(connection: duckdb.DuckDBPyConnection, marts: Mapping[str, Mart], folder: Path) -> dict[str, int]:
    """Write every table to `<folder>/<table>/<table>.parquet` and return the rows of each.

    The rows are ordered by all columns, so that equal tables give equal files and filters on the first columns
    (which are the grain) skip most of a file.
    """
    rows: dict[str, int] = {}
    for table, mart in marts.items():
        target = folder / table / f"{table}.parquet"
        target.parent.mkdir(parents=True)
        written = connection.execute(
            f"copy (select * from {mart.relation(_WAREHOUSE)} order by all) "
            f"to {literal(str(target))} (format parquet, compression zstd)"
        ).fetchone()
        rows[table] = int(written[0]) if written else 0
    return rows


def _write_lists(
    connection: duckdb.DuckDBPyConnection, marts: Mapping[str, Mart], as_of: date, folder: Path, language: Language
) -> dict[str, int]:
    folder.mkdir()
    rows = {}
    for export in LISTS:
        if mart := marts.get(export.table):
            target = folder / export.name / f"as_of_date={as_of.isoformat()}"
            relation, docs = mart.relation(_WAREHOUSE), mart.comments.columns
            rows[export.name] = write_list(connection, relation, docs, export, as_of, target, language)
    return rows


def _describe(
    connection: duckdb.DuckDBPyConnection,
    context: StepContext,
    marts: Mapping[str, Mart],
    rows: Mapping[str, int],
    staging: Path,
) -> Publication:
    model_version = None
    if "fct_churn_scores" in marts:
        # The champion scores everybody of a day; a challenger kept beside it does not name the publication.
        source = "churn_warning_list" if "churn_warning_list" in marts else "fct_churn_scores"
        model_version = _scalar(
            connection,
            f"select max(model_version) from {marts[source].relation(_WAREHOUSE)} "
            f"where as_of_date = {literal(context.as_of)}",
        )
    return Publication(
        as_of_date=context.as_of,
        max_batch_seq=_max_batch_seq(connection, context.settings),
        model_version=model_version,
        rows=dict(rows),
        fingerprint=_fingerprint(staging, marts, context),
    )


def _max_batch_seq(connection: duckdb.DuckDBPyConnection, settings: Settings) -> int:
    batches = settings.paths.control / "ingest_batches.parquet"
    if not batches.exists():
        return 0
    return int(
        _scalar(connection, f"select coalesce(max(batch_seq), 0) from read_parquet({literal(str(batches))})") or 0
    )


def _scalar(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    row = connection.execute(sql).fetchone()
    return row[0] if row else None


def _fingerprint(staging: Path, marts: Mapping[str, Mart], context: StepContext) -> str:
    """Hash what readers can see. The DuckDB file itself is left out: its bytes differ from one writing to the next."""
    digest = hashlib.sha256()
    described = {name: [mart.comments.table, sorted(mart.comments.columns.items())] for name, mart in marts.items()}
    header = [context.as_of.isoformat(), context.settings.publish.storage_version, described]
    digest.update(json.dumps(header, sort_keys=True, ensure_ascii=False).encode())
    for path in _files(staging):
        digest.update(str(path.relative_to(staging)).encode())
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _write_duckdb(
    staging: Path,
    marts: Mapping[str, Mart],
    publication: Publication,
    settings: Settings,
) -> None:
    """Write `marts.duckdb` from the Parquet files just written, in the storage version older readers can open."""
    with closing(_connect(settings)) as connection:
        target = literal(str(staging / "marts.duckdb"))
        version = literal(settings.publish.storage_version)
        try:
            connection.execute(f"attach {target} as published (storage_version {version})")
        except duckdb.InvalidInputException as error:
            raise PublishError(
                "settings, key `publish.storage_version`", settings.publish.storage_version, str(error).splitlines()[0],
                "set a DuckDB version such as v1.2.0",
            ) from error  # fmt: skip
        for table, mart in marts.items():
            source = literal(str(staging / "parquet" / table / f"{table}.parquet"))
            connection.execute(f"create table published.{identifier(table)} as select * from read_parquet({source})")
            _comment(connection, table, mart.comments)
        _write_publication_table(connection, publication)
        connection.execute("detach published")
    (staging / "publication.json").write_text(publication.to_json(), encoding="utf-8")


def _comment(connection: duckdb.DuckDBPyConnection, table: str, comments: TableComments) -> None:
    name = f"published.{identifier(table)}"
    if comments.table:
        connection.execute(f"comment on table {name} is {literal(comments.table)}")
    columns = {row[0] for row in connection.execute(f"describe {name}").fetchall()}
    for column, text in comments.columns.items():
        if text and column in columns:
            connection.execute(f"comment on column {name}.{identifier(column)} is {literal(text)}")


def _write_publication_table(connection: duckdb.DuckDBPyConnection, publication: Publication) -> None:
    selected = ", ".join(f"?::{column.data_type} as {name}" for name, column in PUBLICATION_COLUMNS.items())
    connection.execute(
        f"create table published.{identifier(PUBLICATION_TABLE)} as select {selected}", publication.row()
    )
    _comment(connection, PUBLICATION_TABLE, PUBLICATION_COMMENTS)


def _keep_other_dates(present: Path, staged: Path) -> None:
    """Take over the lists of other business dates: hard links, or copies where the file system has none."""
    for folder in sorted(present.resolve().glob("*/as_of_date=*")):
        target = staged / folder.parent.name / folder.name
        if target.exists():
            continue
        target.mkdir(parents=True)
        for source in _files(folder):
            try:
                (target / source.name).hardlink_to(source)
            except OSError:
                shutil.copy2(source, target / source.name)


def _swap(published: Path, staging: Path) -> None:
    """Make the staged publication the present one."""
    versions = published / ".versions"
    versions.mkdir(exist_ok=True)
    _flush(staging)
    numbers = [int(path.name) for path in versions.iterdir() if path.name.isdigit()]
    version = versions / f"{max(numbers, default=0) + 1:06d}"
    staging.rename(version)
    for name in _LINKS:
        _point(published / name, Path("current") / name)
    _point(published / "current", Path(".versions") / version.name)
    _remove_leftovers(published)


def _point(link: Path, target: Path) -> None:
    """Make `link` a relative symbolic link to `target`, in one atomic step."""
    if link.is_symlink() and link.readlink() == target:
        return
    if link.exists() and not link.is_symlink():
        raise PublishError(
            str(link), "a file or folder that publishing did not make", "a link made by publishing, or nothing",
            f"move {link} away and run `userops publish` again",
        )  # fmt: skip
    beside = link.with_name(f".link-{os.getpid()}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(link)


def _flush(folder: Path) -> None:
    """Have the files on disk before they become visible, so that a power cut cannot publish empty ones."""
    for path in _files(folder):
        with path.open("rb") as stream:
            os.fsync(stream.fileno())


def _remove_leftovers(published: Path) -> None:
    """Remove what killed runs left behind, and versions older than the one before the present one."""
    if not published.exists():
        return
    for path in [*published.glob(".staging-*"), *published.glob(".link-*")]:
        if path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path)
    current = published / "current"
    present = current.readlink().name if current.is_symlink() else ""
    versions = sorted(path for path in (published / ".versions").glob("[0-9]*"))
    kept = [path for path in versions if path.name <= present][-_KEPT_VERSIONS:]
    for path in versions:
        if path not in kept:
            shutil.rmtree(path)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _report(
    context: StepContext, publication: Publication, list_rows: Mapping[str, int], changed: bool, warnings: list[str]
) -> StepReport:
    paths = context.settings.paths
    what = f"{len(publication.rows)} tables, {sum(publication.rows.values()):,} rows as of {context.as_of}"
    counts: dict[str, int | float] = {f"rows_{name}": rows for name, rows in publication.rows.items()}
    counts |= {f"list_{name}": rows for name, rows in list_rows.items()}
    outputs = {"marts": str(paths.published_duckdb), "parquet": str(paths.published_parquet)}
    for name in list_rows:
        outputs[f"list_{name}"] = str(paths.published_exports / name / f"as_of_date={context.as_of.isoformat()}")
    return StepReport(
        summary=f"published {what}" if changed else f"already published: {what}; nothing changed",
        counts=counts,
        outputs=outputs,
        warnings=warnings,
    )
