-- orders as exported, and orders that only their lines tell of
with

exported_orders as (

    select * from {{ ref("stg_orders") }}

),

orderless_lines as (

    select lines.*
    from {{ ref("int_order_lines") }} as lines
    left join exported_orders
        on lines.order_id = exported_orders.order_id
    where exported_orders.order_id is null

),

orders_from_lines as (

    select
        order_id,
        max(user_id) as user_id,
        min(order_time) as order_time,
        min(case when order_time is not null then event_date end) as order_date,
        {{ money("sum(case when line_amount > 0 then line_amount else 0 end)") }} as gross_amount,
        {{ money("sum(case when line_amount < 0 then -line_amount else 0 end)") }} as refund_amount,
        max(currency) as currency,
        case when min(exchange_rate) = max(exchange_rate) then max(exchange_rate) end as exchange_rate,
        {{ money(
            "sum(case when line_amount > 0 then " ~ pieces_times_price("quantity", "original_unit_price") ~ " else 0 end)"
        ) }} as original_gross_amount,
        max(channel) as channel
    from orderless_lines
    group by order_id
    having min(order_time) is not null

),

orders as (

    select
        order_id,
        user_id,
        order_time,
        order_date,
        status,
        gross_amount,
        discount_amount,
        refund_amount,
        currency,
        exchange_rate,
        original_gross_amount,
        channel,
        coupon_code,
        seller_id,
        false as is_derived
    from exported_orders

    union all

    select
        order_id,
        user_id,
        order_time,
        order_date,
        case when gross_amount = 0 and refund_amount > 0 then 'refunded' else 'paid' end as status,
        gross_amount,
        {{ money("0") }} as discount_amount,
        refund_amount,
        currency,
        exchange_rate,
        original_gross_amount,
        channel,
        cast(null as {{ dbt.type_string() }}) as coupon_code,
        cast(null as {{ dbt.type_string() }}) as seller_id,
        true as is_derived
    from orders_from_lines

)

select
    orders.order_id,
    coalesce(accounts.user_id, orders.user_id) as user_id,
    orders.user_id as exported_user_id,
    orders.order_time,
    orders.order_date,
    orders.status,
    orders.gross_amount,
    orders.discount_amount,
    orders.refund_amount,
    orders.currency,
    orders.exchange_rate,
    orders.original_gross_amount,
    orders.channel,
    orders.coupon_code,
    orders.seller_id,
    orders.is_derived
from orders
left join {{ ref("int_identity_accounts") }} as accounts
    on orders.user_id = accounts.account_id
