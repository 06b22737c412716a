-- what a date shows of everybody is what active days, sessions and orders of known buyers add up to
with

neighbours as (

    select
        activity_date,
        1 as active_users,
        0 as sessions,
        0 as events,
        0 as orders,
        {{ money("0") }} as revenue
    from {{ ref("fct_user_days") }}

    union all

    select
        session_date as activity_date,
        0 as active_users,
        1 as sessions,
        events,
        0 as orders,
        {{ money("0") }} as revenue
    from {{ ref("fct_sessions") }}

    union all

    select
        order_date as activity_date,
        0 as active_users,
        0 as sessions,
        0 as events,
        case when is_purchase then 1 else 0 end as orders,
        net_amount as revenue
    from {{ ref("fct_orders") }}
    where
        user_id is not null
        and not is_cancelled

),

neighbours_per_day as (

    select
        activity_date,
        sum(active_users) as active_users,
        sum(sessions) as sessions,
        sum(events) as events,
        sum(orders) as orders,
        sum(revenue) as revenue
    from neighbours
    group by activity_date

),

engagement as (

    select *
    from {{ ref("agg_engagement_daily") }}
    where segment_type = 'all'

)

select
    coalesce(engagement.activity_date, neighbours_per_day.activity_date) as activity_date,
    engagement.dau,
    neighbours_per_day.active_users
from engagement
full outer join neighbours_per_day
    on engagement.activity_date = neighbours_per_day.activity_date
where
    engagement.activity_date is null
    or engagement.dau <> coalesce(neighbours_per_day.active_users, 0)
    or engagement.sessions <> coalesce(neighbours_per_day.sessions, 0)
    or engagement.events <> coalesce(neighbours_per_day.events, 0)
    or engagement.orders <> coalesce(neighbours_per_day.orders, 0)
    or engagement.revenue <> coalesce(neighbours_per_day.revenue, 0)
