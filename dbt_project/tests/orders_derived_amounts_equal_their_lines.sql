-- an order made from lines is worth what its lines are worth
with

lines as (

    select
        order_id,
        sum(line_amount) as amount
    from {{ ref("fct_order_items") }}
    group by order_id

)

select
    orders.order_id,
    orders.net_amount,
    lines.amount
from {{ ref("fct_orders") }} as orders
left join lines
    on orders.order_id = lines.order_id
where
    orders.is_derived
    and orders.net_amount <> coalesce(lines.amount, 0)
