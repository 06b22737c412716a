{{
    config(
        materialized="incremental",
        incremental_strategy="touched_dates",
        on_schema_change="append_new_columns",
        meta={
            "business_date": "event_date",
            "user_column": "user_id",
            "follows": ["int_events"],
            "settings": ["funnels_fingerprint"],
        },
        pre_hook="{{ log_rebuilt_dates() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}

with

event_names as (

    select distinct event_name
    from {{ ref("int_funnel_event_names") }}

)

select
    events.event_date,
    events.user_id,
    events.event_time,
    events.event_name,
    events.channel,
    events.device
from {{ ref("int_events") }} as events
inner join event_names
    on events.event_name = event_names.event_name
where {{ in_touched_dates("events.event_date") }}
