-- everybody is in exactly one segment of each type
with

totals as (

    select
        segment_type,
        grain,
        period_start,
        sum(new_users) as new_users,
        sum(returning_users) as returning_users,
        sum(resurrecting_users) as resurrecting_users,
        sum(dormant_users) as dormant_users,
        sum(active_users) as active_users
    from {{ ref("agg_growth_accounting_by_segment") }}
    group by segment_type, grain, period_start

)

select
    growth.grain,
    growth.period_start,
    totals.segment_type
from {{ ref("agg_growth_accounting") }} as growth
left join totals
    on growth.grain = totals.grain and growth.period_start = totals.period_start
where
    totals.segment_type is null
    or growth.new_users <> totals.new_users
    or growth.returning_users <> totals.returning_users
    or growth.resurrecting_users <> totals.resurrecting_users
    or growth.dormant_users <> totals.dormant_users
    or growth.active_users <> totals.active_users
