{{
    config(
        materialized="incremental",
        incremental_strategy="touched_dates",
        on_schema_change="append_new_columns",
        meta={"business_date": "event_date", "follows": ["lake:events"]},
        pre_hook="{{ log_rebuilt_dates() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}

select
    event_date,
    anonymous_id,
    user_id,
    min(event_time) as first_seen_at,
    max(event_time) as last_seen_at
from {{ ref("stg_events") }}
where {{ in_touched_dates("event_date") }}
group by event_date, anonymous_id, user_id
