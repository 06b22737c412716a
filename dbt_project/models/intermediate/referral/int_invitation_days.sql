{{
    config(
        materialized="incremental",
        incremental_strategy="touched_dates",
        on_schema_change="append_new_columns",
        meta={"business_date": "event_date", "follows": ["int_events"], "settings": ["referral"]},
        pre_hook="{{ log_rebuilt_dates() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}

select
    event_date,
    user_id,
    cast(count(*) as bigint) as invitations
from {{ ref("int_events") }}
where
    {{ in_touched_dates("event_date") }}
    and event_name in (
        {%- for name in var("referral").invitation_events %}'{{ name | replace("'", "''") }}'
        {{- ", " if not loop.last }}{% endfor -%}
    )
group by event_date, user_id
