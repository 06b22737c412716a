{{
    config(
        materialized="incremental",
        incremental_strategy="touched_orders",
        on_schema_change="append_new_columns",
        meta={
            "follows": ["int_exported_orders", "int_order_lines"],
            "stale_orders": "orders_of_other_buyers",
            "settings": ["orders"],
        },
        pre_hook="{{ log_rebuilt_keys() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}
-- exported orders, and orders derived from lines that have no exported order
with

lines as (

    select *
    from {{ ref("int_order_lines") }}
    where {{ in_touched_orders("order_id") }}

),

orders_from_lines as (

    select
        order_id,
        {{ buyer_of_lines() }} as user_id,
        min(order_time) as order_time,
        min(case when order_time is not null then event_date end) as order_date,
        {{ money("sum(case when line_amount > 0 then line_amount else 0 end)") }} as gross_amount,
        {{ money("sum(case when line_amount < 0 then -line_amount else 0 end)") }} as refund_amount,
        case when min(currency) = max(currency) then max(currency) end as currency,
        case when min(exchange_rate) = max(exchange_rate) then max(exchange_rate) end as exchange_rate,
        case when min(currency) = max(currency) then {{ money(
            "sum(case when line_amount > 0 then " ~ pieces_times_price("quantity", "original_unit_price") ~ " else 0 end)"
        ) }} end as original_gross_amount,
        max(channel) as channel
    from lines
    where not has_exported_order
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
        {{ is_cancelled("status") }} as is_cancelled,
        false as is_derived
    from {{ ref("int_exported_orders") }}
    where {{ in_touched_orders("order_id") }}

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
        false as is_cancelled,
        true as is_derived
    from orders_from_lines

),

lines_per_order as (

    select
        order_id,
        count(*) as items
    from lines
    group by order_id

)

select
    orders.order_id,
    coalesce(accounts.user_id, orders.user_id) as user_id,
    orders.user_id as exported_user_id,
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
left join {{ ref("int_identity_accounts") }} as accounts
    on orders.user_id = accounts.account_id
