"""What one publication is: its description and its comments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

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

    def to_json(self) -> str:
        """Return the publication as JSON text."""
        content = {
            "as_of_date": self.as_of_date.isoformat(), "max_batch_seq": self.max_batch_seq,
            "model_version": self.model_version, "rows": dict(sorted(self.rows.items())),
            "fingerprint": self.fingerprint,
        }  # fmt: skip
        return json.dumps(content, indent=2) + "\n"


PUBLICATION_COMMENTS = TableComments(
    "What is published here, one row. 本次发布的说明",
    {
        "as_of_date": "business date the tables are the state of. 统计日期",
        "max_batch_seq": "number of the last ingest batch in them. 最后入湖批次号",
        "model_version": "churn model behind the list of this date. 流失模型版本",
        "fingerprint": "SHA-256 of the published content. 内容指纹",
    },
)
