{#-
    Searched once per date, and kept: searching the whole history each time that events are read would cost more than
    all else a daily run does.
-#}
{{
    config(
        materialized="incremental",
        incremental_strategy="touched_dates",
        on_schema_change="fail",
        meta={"business_date": "event_date", "follows": ["lake:events"]},
        pre_hook="{{ log_rebuilt_dates() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}

select *
from (
    {{ repeated_facts(source("lake", "events"), "event_date", ["event_id"], in_touched_dates("event_date")) }}
) as repeated
