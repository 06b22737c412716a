-- every user was won by one channel: over them even trailing distinct users add up to those of everybody
with

totals as (

    select
        activity_date,
        segment_type,
        sum(dau) as dau,
        sum(wau) as wau,
        sum(mau) as mau,
        sum(new_users) as new_users,
        sum(visitors) as visitors,
        sum(sessions) as sessions,
        sum(orders) as orders,
        sum(revenue) as revenue
    from {{ ref("agg_engagement_daily") }}
    group by activity_date, segment_type

)

select
    everybody.activity_date,
    totals.segment_type
from {{ ref("agg_engagement_daily") }} as everybody
inner join totals
    on everybody.activity_date = totals.activity_date
where
    everybody.segment_type = 'all'
    and totals.segment_type <> 'all'
    and (
        everybody.dau <> totals.dau
        or everybody.new_users <> totals.new_users
        or everybody.sessions <> totals.sessions
        or everybody.orders <> totals.orders
        or everybody.revenue <> totals.revenue
        or (
            totals.segment_type = 'acquisition_channel'
            and (
                everybody.wau <> totals.wau
                or everybody.mau <> totals.mau
                or everybody.visitors <> totals.visitors
            )
        )
    )
