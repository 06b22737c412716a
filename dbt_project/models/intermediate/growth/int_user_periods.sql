{{
    config(
        materialized="incremental",
        incremental_strategy="touched_users",
        on_schema_change="append_new_columns",
        meta={"user_column": "user_id", "follows": ["int_user_rhythm"]},
        pre_hook="{{ log_rebuilt_keys() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}
{%- set grains = ["day", "week", "month"] %}

with

active_days as (

    select
        user_id,
        activity_date,
        first_active_date,
        {{ add_days("activity_date", "-gap_days") }} as previous_active_date,
        next_active_date
    from {{ ref("int_user_rhythm") }}
    where {{ in_touched_users("user_id") }}

),

-- active days are one row per user and day already
days as (

    select
        active_days.*,
        activity_date as period_start,
        1 as active_days
    from active_days

),

{% for grain in grains if grain != "day" -%}
{{ grain }}s as (

    select
        user_id,
        {{ period_start(grain, "activity_date") }} as period_start,
        min(first_active_date) as first_active_date,
        min(previous_active_date) as previous_active_date,
        max(next_active_date) as next_active_date,
        count(*) as active_days
    from active_days
    group by user_id, {{ period_start(grain, "activity_date") }}

),

{% endfor -%}

-- the previous and next active day count only where they lie outside the period
periods as (

    {% for grain in grains %}
    select
        '{{ grain }}' as grain,
        user_id,
        period_start,
        {{ next_period_start(grain, "period_start") }} as following_period,
        {{ period_start(grain, "first_active_date") }} as first_period_start,
        case
            when previous_active_date < period_start then {{ period_start(grain, "previous_active_date") }}
        end as previous_active_period,
        case
            when previous_active_date < period_start
                then {{ next_period_start(grain, period_start(grain, "previous_active_date")) }}
        end as period_after_previous,
        case
            when next_active_date >= {{ next_period_start(grain, "period_start") }}
                then {{ period_start(grain, "next_active_date") }}
        end as next_active_period,
        active_days
    from {{ grain }}s
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select
    grain,
    user_id,
    period_start,
    first_period_start,
    case
        when previous_active_period is null then 'new'
        when period_after_previous = period_start then 'returning'
        else 'resurrecting'
    end as growth_status,
    case
        when next_active_period is null or next_active_period > following_period then following_period
    end as dormant_from,
    cast(active_days as bigint) as active_days
from periods
