-- dormant(p) = active(p - 1) - returning(p), in each segment
with

neighbours as (

    select
        segment_type,
        segment_value,
        grain,
        period_start,
        dormant_users,
        returning_users,
        coalesce(
            lag(active_users) over (partition by segment_type, segment_value, grain order by period_start), 0
        ) as active_before
    from {{ ref("agg_growth_accounting_by_segment") }}

)

select *
from neighbours
where dormant_users <> active_before - returning_users
