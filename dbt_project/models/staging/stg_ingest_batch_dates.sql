select
    batch_id,
    batch_seq,
    source,
    entity,
    as_of_date,
    event_date,
    rows_loaded
from {{ source("lake_control", "ingest_batch_dates") }}
