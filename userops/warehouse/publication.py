"""What one publication is: its description and its comments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from userops.warehouse.marts import TableComments

#: One-row table in `marts.duckdb` and in PostgreSQL that says what is published there.
PUBLICATION_TABLE = "_publication"


@dataclass(frozen=True)
class Publication:
    """What one publication holds; the same marts, lists and settings give an equal one.

    Attributes:
        max_batch_seq: number of the last ingest batch in it (0 when nothing was ingested).
        model_version: churn model behind the list of this business date; None when nobody was scored.
        rows: number of rows by table.
        fingerprint: SHA-256 over every Parquet file, every list of this business date, the comments and the format.
    """

    as_of_date: date
    max_batch_seq: int
    model_version: str | None
    rows: Mapping[str, int]
    fingerprint: str

    def row(self) -> list[Any]:
        """Return the row of the table, in the order of its columns."""
        return [getattr(self, name) for name in PUBLICATION_COLUMNS]

    def to_json(self) -> str:
        """Return the publication as JSON text."""
        content = {
            "as_of_date": self.as_of_date.isoformat(), "max_batch_seq": self.max_batch_seq,
            "model_version": self.model_version, "rows": dict(sorted(self.rows.items())),
            "fingerprint": self.fingerprint,
        }  # fmt: skip
        return json.dumps(content, indent=2) + "\n"


@dataclass(frozen=True)
class PublicationColumn:
    """One column of the table, filled from the field of `Publication` with its name."""

    data_type: str
    text: str
    not_null: bool = True


PUBLICATION_COLUMNS: Mapping[str, PublicationColumn] = {
    "as_of_date": PublicationColumn(
        "date",
        "As-of date of the run that published: every table is the state at the end of this business date. "
        "截止日。发布时的业务日，所有表均为该日日终状态",
    ),
    "max_batch_seq": PublicationColumn(
        "bigint",
        "Number of the last ingest batch whose rows are in the tables; 0 if nothing was ingested. "
        "最后入湖批次号。尚无入湖时为 0",
    ),
    "model_version": PublicationColumn(
        "varchar",
        "Version of the churn model behind the warning list of this date; null if nobody was scored. "
        "流失模型版本。当日名单所用的模型；无评分时为空",
        not_null=False,
    ),
    "fingerprint": PublicationColumn(
        "varchar",
        "SHA-256 over all that is published: equal fingerprints mean equal content. "
        "内容指纹。全部发布内容的 SHA-256，相同即内容相同",
    ),
}
PUBLICATION_COMMENTS = TableComments(
    "One row per publication, and only the present one is here: as of which date the other tables are. In "
    "`marts.duckdb` and in PostgreSQL, but not among the Parquet files. "
    "本次发布。每次发布一行，仅保留当前一次；说明其余各表的截止日。存在于 `marts.duckdb` 与 PostgreSQL，"
    "不在 Parquet 文件之列。",
    {name: column.text for name, column in PUBLICATION_COLUMNS.items()},
)
