{%- set segment_types = growth_segment_types() -%}

with

-- the only pass over the periods of all users: what growth accounting needs, per combination of attributes
cells as (

    select
        periods.grain,
        periods.period_start,
        periods.growth_status,
        periods.dormant_from,
        {% for segment_type in segment_types -%}
        coalesce(users.{{ segment_type }}, 'unknown') as {{ segment_type }},
        {% endfor -%}
        count(*) as users
    from {{ ref("int_user_periods") }} as periods
    left join {{ ref("dim_users") }} as users
        on periods.user_id = users.user_id
    group by
        {% for segment_type in segment_types -%}
        coalesce(users.{{ segment_type }}, 'unknown'),
        {% endfor -%}
        periods.grain,
        periods.period_start,
        periods.growth_status,
        periods.dormant_from

),

cells_by_segment as (

    {% for segment_type in segment_types %}
    select
        '{{ segment_type }}' as segment_type,
        {{ segment_type }} as segment_value,
        grain,
        period_start,
        growth_status,
        dormant_from,
        users
    from cells
    {{ "union all" if not loop.last }}
    {% endfor %}

),

active as (

    select
        segment_type,
        segment_value,
        grain,
        period_start,
        sum(case when growth_status = 'new' then users else 0 end) as new_users,
        sum(case when growth_status = 'returning' then users else 0 end) as returning_users,
        sum(case when growth_status = 'resurrecting' then users else 0 end) as resurrecting_users,
        sum(users) as active_users
    from cells_by_segment
    group by segment_type, segment_value, grain, period_start

),

-- counted once, in the first period without activity
dormant as (

    select
        segment_type,
        segment_value,
        grain,
        dormant_from as period_start,
        sum(users) as dormant_users
    from cells_by_segment
    where dormant_from is not null
    group by segment_type, segment_value, grain, dormant_from

),

segments as (

    select
        segment_type,
        segment_value,
        grain,
        min(period_start) as first_period_start
    from active
    group by segment_type, segment_value, grain

),

periods_of_segments as (

    select
        segments.segment_type,
        segments.segment_value,
        periods.grain,
        periods.period_start,
        periods.is_complete
    from segments
    inner join {{ ref("agg_growth_accounting") }} as periods
        on
            segments.grain = periods.grain
            and segments.first_period_start <= periods.period_start

)

select
    'all' as segment_type,
    'all' as segment_value,
    grain,
    period_start,
    new_users,
    returning_users,
    resurrecting_users,
    dormant_users,
    active_users,
    is_complete,
    retention_rate,
    quick_ratio
from {{ ref("agg_growth_accounting") }}

union all

select
    periods.segment_type,
    periods.segment_value,
    periods.grain,
    periods.period_start,
    cast(coalesce(active.new_users, 0) as bigint) as new_users,
    cast(coalesce(active.returning_users, 0) as bigint) as returning_users,
    cast(coalesce(active.resurrecting_users, 0) as bigint) as resurrecting_users,
    cast(coalesce(dormant.dormant_users, 0) as bigint) as dormant_users,
    cast(coalesce(active.active_users, 0) as bigint) as active_users,
    periods.is_complete,
    {{ growth_retention_rate("active.returning_users", "dormant.dormant_users") }} as retention_rate,
    {{ growth_quick_ratio("active.new_users", "active.resurrecting_users", "dormant.dormant_users") }} as quick_ratio
from periods_of_segments as periods
left join active
    on
        periods.segment_type = active.segment_type
        and periods.segment_value = active.segment_value
        and periods.grain = active.grain
        and periods.period_start = active.period_start
left join dormant
    on
        periods.segment_type = dormant.segment_type
        and periods.segment_value = dormant.segment_value
        and periods.grain = dormant.grain
        and periods.period_start = dormant.period_start
