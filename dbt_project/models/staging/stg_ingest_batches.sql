with

-- rows without a time lie on 1970-01-01, which is no business date
batch_dates as (

    select
        batch_id,
        min(event_date) as first_event_date,
        max(event_date) as last_event_date,
        count(distinct event_date) as event_dates
    from {{ source("lake_control", "ingest_batch_dates") }}
    where event_date > cast('1970-01-01' as date)
    group by batch_id

)

select
    batches.batch_id,
    batches.batch_seq,
    batches.source,
    batches.entity,
    batches.file_path,
    batches.file_sha256,
    batches.file_bytes,
    batches.rows_read,
    batches.rows_loaded,
    batches.rows_deduplicated,
    batches.rows_quarantined,
    batches.rows_filtered,
    batches.rows_dropped,
    batches.state,
    batches.take,
    batches.retired_seq,
    batches.as_of_date,
    batches.committed_at,
    batch_dates.first_event_date,
    batch_dates.last_event_date,
    coalesce(batch_dates.event_dates, 0) as event_dates
from {{ source("lake_control", "ingest_batches") }} as batches
left join batch_dates
    on batches.batch_id = batch_dates.batch_id
