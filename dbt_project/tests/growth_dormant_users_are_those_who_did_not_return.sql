-- dormant(p) = active(p - 1) - returning(p)
with

neighbours as (

    select
        grain,
        period_start,
        dormant_users,
        returning_users,
        coalesce(lag(active_users) over (partition by grain order by period_start), 0) as active_before
    from {{ ref("agg_growth_accounting") }}

)

select *
from neighbours
where dormant_users <> active_before - returning_users
