with

event_days as (

    select
        as_of_date,
        user_id,
        activity_date,
        days_ago,
        0 as is_order_day
    from {{ ref("int_churn_days_as_known") }}
    where activity_events > 0

),

order_days as (

    select
        as_of_date,
        user_id,
        order_date as activity_date,
        days_ago,
        1 as is_order_day
    from {{ ref("int_churn_orders_as_known") }}
    where purchases > 0

),

all_days as (

    select * from event_days
    union all
    select * from order_days

)

select
    as_of_date,
    user_id,
    activity_date,
    days_ago,
    max(is_order_day) as is_order_day
from all_days
group by 1, 2, 3, 4
