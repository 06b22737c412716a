with

lines_per_order as (

    select
        order_id,
        count(*) as items
    from {{ ref("int_order_lines") }}
    group by order_id

),

orders as (

    select
        int_orders.*,
        lower(status) in ('cancelled', 'canceled') as is_cancelled
    from {{ ref("int_orders") }} as int_orders

)

select
    orders.order_id,
    orders.user_id,
    orders.order_time as ordered_at,
    orders.order_date,
    orders.status,
    orders.gross_amount,
    orders.discount_amount,
    orders.refund_amount,
    {{ money("orders.gross_amount - orders.discount_amount - orders.refund_amount") }} as net_amount,
    orders.currency,
    orders.exchange_rate,
    orders.original_gross_amount,
    orders.channel,
    orders.coupon_code,
    orders.seller_id,
    cast(coalesce(lines_per_order.items, 0) as bigint) as items,
    orders.is_cancelled,
    orders.gross_amount > 0 and not orders.is_cancelled as is_purchase,
    orders.is_derived
from orders
left join lines_per_order
    on orders.order_id = lines_per_order.order_id
