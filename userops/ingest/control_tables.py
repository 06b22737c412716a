"""Names and types of the small tables below lake/control/ that dbt reads."""

from __future__ import annotations

#: Columns of the small tables below lake/control/.
CONTROL_COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    "ingest_batches": (
        ("batch_id", "VARCHAR"),
        ("batch_seq", "BIGINT"),
        ("source", "VARCHAR"),
        ("entity", "VARCHAR"),
        ("file_path", "VARCHAR"),
        ("file_sha256", "VARCHAR"),
        ("file_bytes", "BIGINT"),
        ("rows_read", "BIGINT"),
        ("rows_loaded", "BIGINT"),
        ("rows_deduplicated", "BIGINT"),
        ("rows_quarantined", "BIGINT"),
        ("rows_filtered", "BIGINT"),
        ("rows_dropped", "BIGINT"),
        ("state", "VARCHAR"),
        ("take", "BIGINT"),
        ("retired_seq", "BIGINT"),
        ("as_of_date", "DATE"),
        ("committed_at", "TIMESTAMP"),
    ),
    "ingest_batch_dates": (
        ("batch_id", "VARCHAR"),
        ("batch_seq", "BIGINT"),
        ("entity", "VARCHAR"),
        ("source", "VARCHAR"),
        ("as_of_date", "DATE"),
        ("event_date", "DATE"),
        ("rows_loaded", "BIGINT"),
    ),
    "source_notes": (
        ("as_of_date", "DATE"),
        ("source", "VARCHAR"),
        ("step", "VARCHAR"),
        ("kind", "VARCHAR"),
        ("severity", "VARCHAR"),
        ("file_path", "VARCHAR"),
        ("message", "VARCHAR"),
    ),
    "event_taxonomy": (
        ("event_name", "VARCHAR"),
        ("category", "VARCHAR"),
        ("is_activity", "BOOLEAN"),
        ("is_page_view", "BOOLEAN"),
        ("is_interaction", "BOOLEAN"),
        ("is_contribution", "BOOLEAN"),
        ("label_en", "VARCHAR"),
        ("label_zh", "VARCHAR"),
    ),
    "funnel_steps": (
        ("funnel_id", "VARCHAR"),
        ("funnel_name_en", "VARCHAR"),
        ("funnel_name_zh", "VARCHAR"),
        ("window_seconds", "BIGINT"),
        ("step_number", "INTEGER"),
        ("step_name", "VARCHAR"),
        ("event_name", "VARCHAR"),
    ),
    "identity_unbind": (
        ("anonymous_id", "VARCHAR"),
        ("user_id", "VARCHAR"),
    ),
    "exchange_rates": (
        ("rate_date", "DATE"),
        ("currency", "VARCHAR"),
        ("rate", "DOUBLE"),
    ),
}
