{%- set most = var("retention").max_purchase_number -%}

with

purchases as (

    select
        user_id,
        order_date,
        net_amount,
        row_number() over in_order as order_number,
        lag(order_date) over in_order as previous_date
    from {{ ref("fct_orders") }}
    where
        is_purchase
        and user_id is not null
    window in_order as (
        partition by user_id
        order by ordered_at, order_id
    )

),

-- the last number includes all later ones
numbered as (

    select
        user_id,
        net_amount,
        least(order_number, {{ most }}) as purchase_number,
        case when order_number <= {{ most }} then 1 else 0 end as is_buyers_first_here,
        {{ days_between("previous_date", "order_date") }} as days_since_previous
    from purchases

),

per_number as (

    select
        purchase_number,
        sum(is_buyers_first_here) as buyers,
        count(*) as orders,
        sum(net_amount) as revenue,
        {{ median_of("days_since_previous") }} as median_days_since_previous
    from numbered
    group by purchase_number

)

select
    cast(purchase_number as integer) as purchase_number,
    purchase_number = {{ most }} as is_open_ended,
    cast(buyers as bigint) as buyers,
    case
        when purchase_number < {{ most }}
            then {{ share("coalesce(lead(buyers) over by_number, 0)", "buyers") }}
    end as next_purchase_rate,
    median_days_since_previous,
    cast(orders as bigint) as orders,
    {{ money("revenue") }} as revenue
from per_number
window by_number as (order by purchase_number)
