{%- set grains = ["day", "week", "month"] -%}

with

active as (

    select
        grain,
        period_start,
        sum(case when growth_status = 'new' then 1 else 0 end) as new_users,
        sum(case when growth_status = 'returning' then 1 else 0 end) as returning_users,
        sum(case when growth_status = 'resurrecting' then 1 else 0 end) as resurrecting_users,
        count(*) as active_users
    from {{ ref("int_user_periods") }}
    group by grain, period_start

),

-- counted once, in the first period without activity
dormant as (

    select
        grain,
        dormant_from as period_start,
        count(*) as dormant_users
    from {{ ref("int_user_periods") }}
    where dormant_from is not null
    group by grain, dormant_from

),

bounds as (

    select min(period_start) as first_date
    from active
    where grain = 'day'

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
    periods.next_period_start <= {{ add_days(as_of(), 1) }} as is_complete,
    {{ growth_retention_rate("active.returning_users", "dormant.dormant_users") }} as retention_rate,
    {{ growth_quick_ratio("active.new_users", "active.resurrecting_users", "dormant.dormant_users") }} as quick_ratio
from periods
left join active
    on periods.grain = active.grain and periods.period_start = active.period_start
left join dormant
    on periods.grain = dormant.grain and periods.period_start = dormant.period_start
