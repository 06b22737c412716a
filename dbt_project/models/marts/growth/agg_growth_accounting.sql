{%- set grains = ["day", "week", "month"] -%}

with

user_periods as (

    {% for grain in grains %}
    select distinct
        '{{ grain }}' as grain,
        user_id,
        {{ period_start(grain, "activity_date") }} as period_start,
        {{ next_period_start(grain, period_start(grain, "activity_date")) }} as next_period_start
    from {{ ref("fct_user_days") }}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

user_periods_with_neighbours as (

    select
        user_periods.*,
        lag(next_period_start) over in_order as period_after_last_active,
        lead(period_start) over in_order as next_active_period
    from user_periods
    window in_order as (
        partition by grain, user_id
        order by period_start
    )

),

active as (

    select
        grain,
        period_start,
        sum(case when period_after_last_active is null then 1 else 0 end) as new_users,
        sum(case when period_after_last_active = period_start then 1 else 0 end) as returning_users,
        sum(case when period_after_last_active < period_start then 1 else 0 end) as resurrecting_users,
        count(*) as active_users
    from user_periods_with_neighbours
    group by grain, period_start

),

-- counted once, in the first period without activity
dormant as (

    select
        grain,
        next_period_start as period_start,
        count(*) as dormant_users
    from user_periods_with_neighbours
    where
        next_active_period is null
        or next_active_period > next_period_start
    group by grain, next_period_start

),

bounds as (

    select min(activity_date) as first_date
    from {{ ref("fct_user_days") }}

),

days as (

    {{ date_spine("first_date", as_of(), "bounds") }}

),

periods as (

    {% for grain in grains %}
    select distinct
        '{{ grain }}' as grain,
        {{ period_start(grain, "calendar_date") }} as period_start,
        {{ next_period_start(grain, period_start(grain, "calendar_date")) }} as next_period_start
    from days
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select
    periods.grain,
    periods.period_start,
    cast(coalesce(active.new_users, 0) as bigint) as new_users,
    cast(coalesce(active.returning_users, 0) as bigint) as returning_users,
    cast(coalesce(active.resurrecting_users, 0) as bigint) as resurrecting_users,
    cast(coalesce(dormant.dormant_users, 0) as bigint) as dormant_users,
    cast(coalesce(active.active_users, 0) as bigint) as active_users,
    periods.next_period_start <= {{ add_days(as_of(), 1) }} as is_complete
from periods
left join active
    on periods.grain = active.grain and periods.period_start = active.period_start
left join dormant
    on periods.grain = dormant.grain and periods.period_start = dormant.period_start
