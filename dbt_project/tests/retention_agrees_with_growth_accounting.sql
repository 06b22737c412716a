-- the cohorts are the new and the active users of growth accounting; those active again in the next period, its
-- returning users
with

retention as (

    select
        grain,
        period_start,
        segment_type,
        segment_value,
        sum(case when cohort_kind = 'first_ever' and period_number = 0 then cohort_users else 0 end) as new_users,
        sum(case when cohort_kind = 'recurring' and period_number = 0 then cohort_users else 0 end) as active_users,
        sum(case when cohort_kind = 'recurring' and period_number = 1 then retained_users else 0 end) as returning_users
    from {{ ref("agg_retention_cohorts") }}
    group by grain, period_start, segment_type, segment_value

)

select
    growth.grain,
    growth.period_start,
    growth.segment_type,
    growth.segment_value
from {{ ref("agg_growth_accounting_by_segment") }} as growth
left join retention
    on
        growth.grain = retention.grain
        and growth.period_start = retention.period_start
        and growth.segment_type = retention.segment_type
        and growth.segment_value = retention.segment_value
where
    growth.segment_type in ('all', 'acquisition_channel')
    and (
        growth.new_users <> coalesce(retention.new_users, 0)
        or growth.active_users <> coalesce(retention.active_users, 0)
        or growth.returning_users <> coalesce(retention.returning_users, 0)
    )
