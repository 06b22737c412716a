{{
    config(
        materialized="incremental",
        incremental_strategy="touched_dates",
        on_schema_change="append_new_columns",
        meta={
            "business_date": "period_start",
            "follows": ["fct_user_days", "int_user_segments"],
            "stale_dates": "periods_that_look_back_on_touched_dates",
            "settings": ["retention"],
        },
        pre_hook="{{ log_rebuilt_dates() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}

with

active as (

    select
        periods.grain,
        periods.period_start,
        periods.user_id,
        users.acquisition_channel
    from {{ ref("int_user_periods") }} as periods
    inner join {{ ref("int_user_segments") }} as users
        on periods.user_id = users.user_id
    where {{ in_touched_dates("periods.period_start") }}

),

-- everybody active in a period meets each of their own earlier periods that is still followed
returns as (

    {% for grain, last_number in retention_grains() %}
    select
        active.grain,
        active.period_start,
        earlier.period_start as cohort_start,
        {{ periods_between(grain, "earlier.period_start", "active.period_start") }} as period_number,
        active.acquisition_channel
    from active
    inner join {{ ref("int_user_periods") }} as earlier
        on
            active.user_id = earlier.user_id
            and active.grain = earlier.grain
            and active.period_start > earlier.period_start
            and active.period_start <= {{ period_after(grain, "earlier.period_start", last_number) }}
    where
        active.grain = '{{ grain }}'
        and earlier.grain = '{{ grain }}'
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select
    grain,
    period_start,
    cohort_start,
    period_number,
    acquisition_channel,
    cast(count(*) as bigint) as users
from returns
group by grain, period_start, cohort_start, period_number, acquisition_channel
