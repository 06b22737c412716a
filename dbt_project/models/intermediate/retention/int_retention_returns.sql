{{
    config(
        materialized="incremental",
        incremental_strategy="corrected_counts",
        on_schema_change="append_new_columns",
        meta={
            "count_column": "users",
            "follows": ["int_user_periods"],
            "stale_users": "users_counted_for_another_channel",
            "settings": ["retention"],
        },
        pre_hook="{{ log_rebuilt_keys() }}",
        post_hook=["{{ remember_counted_days() }}", "{{ save_watermarks() }}"],
    )
}}
{%- set corrects = not rebuilds_everything() %}

with

{% if corrects -%}
touched as (

    {{ users_being_rebuilt() }}

),

counted_days as (

    select
        counted.user_id,
        touched.changed_from,
        counted.acquisition_channel,
        {{ elements("counted.active_days") }} as activity_date
    from pipeline_state.counted_days as counted
    inner join touched
        on counted.user_id = touched.user_id

),

-- touched users are counted out (-1) as the stored counts have them, and counted in (1) as they are now
periods as (

    select
        periods.grain,
        periods.user_id,
        touched.changed_from,
        users.acquisition_channel,
        periods.period_start,
        1 as times
    from {{ ref("int_user_periods") }} as periods
    inner join {{ ref("int_user_segments") }} as users
        on periods.user_id = users.user_id
    inner join touched
        on periods.user_id = touched.user_id
    {%- for grain, _ in retention_grains() %}

    union all

    select distinct
        '{{ grain }}' as grain,
        user_id,
        changed_from,
        acquisition_channel,
        {{ period_start(grain, "activity_date") }} as period_start,
        -1 as times
    from counted_days
    {%- endfor %}

),

{% else -%}
periods as {{ not_materialized() }} (

    select
        periods.grain,
        periods.user_id,
        users.acquisition_channel,
        periods.period_start,
        1 as times
    from {{ ref("int_user_periods") }} as periods
    inner join {{ ref("int_user_segments") }} as users
        on periods.user_id = users.user_id

),

{% endif -%}
-- Each period in which a user is active is paired with each earlier one of the same user that is still followed. Pairs
-- before a user's first change are as they were.
{% for grain, last_number in retention_grains() -%}
returns_by_{{ grain }} as (

    select
        later.period_start,
        earlier.period_start as cohort_start,
        later.acquisition_channel,
        sum(later.times) as users
    from periods as later
    inner join periods as earlier
        on
            later.user_id = earlier.user_id
            {%- if corrects %}
            and later.times = earlier.times
            and later.period_start >= {{ period_start(grain, "later.changed_from") }}
            {%- endif %}
            and later.period_start > earlier.period_start
            and later.period_start <= {{ period_after(grain, "earlier.period_start", last_number) }}
    where
        later.grain = '{{ grain }}'
        and earlier.grain = '{{ grain }}'
    group by later.period_start, earlier.period_start, later.acquisition_channel
    having sum(later.times) <> 0

){{ "," if not loop.last }}

{% endfor -%}
{% for grain, _ in retention_grains() %}
select
    '{{ grain }}' as grain,
    period_start,
    cohort_start,
    {{ periods_between(grain, "cohort_start", "period_start") }} as period_number,
    acquisition_channel,
    cast(users as bigint) as users
from returns_by_{{ grain }}
{{ "union all" if not loop.last }}
{%- endfor %}
