{%- set weights = var("persona").interest_weights -%}
{{
    config(
        materialized="incremental",
        incremental_strategy="touched_users",
        on_schema_change="append_new_columns",
        meta={
            "user_column": "user_id",
            "follows": ["int_events", "int_user_preferences"],
            "settings": ["persona"],
        },
        pre_hook="{{ log_rebuilt_keys() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}

with

events as (

    select
        user_id,
        event_date,
        object_category as category,
        case
            when is_interaction then {{ weights.interaction }}
            else {{ weights.view }}
        end as weight
    from {{ ref("int_events") }}
    where
        {{ in_touched_users("user_id") }}
        and object_category is not null
        and (is_activity or is_interaction)

),

last_days as (

    select
        user_id,
        last_active_date
    from {{ ref("int_user_preferences") }}
    where {{ in_touched_users("user_id") }}

)

select
    events.user_id,
    events.category,
    cast(
        sum(events.weight * {{ decayed_millionths("events.event_date", "last_days.last_active_date") }}) as bigint
    ) as score
from events
inner join last_days
    on events.user_id = last_days.user_id
where
    events.event_date > {{ add_days("last_days.last_active_date", "-" ~ var("persona").window_days) }}
    and events.event_date <= last_days.last_active_date
group by events.user_id, events.category
