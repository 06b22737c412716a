-- the same people are counted in both charts
select
    growth.period_start,
    growth.active_users,
    engagement.dau
from {{ ref("agg_growth_accounting") }} as growth
left join {{ ref("agg_engagement_daily") }} as engagement
    on
        growth.period_start = engagement.activity_date
        and engagement.segment_type = 'all'
where
    growth.grain = 'day'
    and growth.active_users <> coalesce(engagement.dau, -1)
