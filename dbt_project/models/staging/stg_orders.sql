with

orders as (

    select
        versions.*,
        coalesce(versions.currency, '{{ var("currency") }}') as amount_currency
    from (
        {{ one_row_per_key(source("lake", "orders"), ["order_id"], ["updated_at desc nulls last", "_row_hash desc"]) }}
    ) as versions

)

select
    orders.order_id,
    orders.user_id,
    orders.order_time,
    orders.event_date as order_date,
    coalesce(orders.status, 'paid') as status,
    {{ in_project_currency("coalesce(orders.gross_amount, 0)") }} as gross_amount,
    {{ in_project_currency("coalesce(orders.discount_amount, 0)") }} as discount_amount,
    {{ in_project_currency("coalesce(orders.refund_amount, 0)") }} as refund_amount,
    orders.amount_currency as currency,
    {{ exchange_rate() }} as exchange_rate,
    {{ money("coalesce(orders.gross_amount, 0)") }} as original_gross_amount,
    orders.channel,
    orders.coupon_code,
    orders.seller_id,
    orders.updated_at,
    orders.properties
from orders
{{ join_exchange_rates("orders.amount_currency", "orders.event_date") }}
