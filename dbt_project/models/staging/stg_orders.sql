select
    order_id,
    user_id,
    order_time,
    event_date as order_date,
    coalesce(status, 'paid') as status,
    {{ money("coalesce(gross_amount, 0)") }} as gross_amount,
    {{ money("coalesce(discount_amount, 0)") }} as discount_amount,
    {{ money("coalesce(refund_amount, 0)") }} as refund_amount,
    coalesce(currency, '{{ var("currency") }}') as currency,
    channel,
    coupon_code,
    seller_id,
    updated_at
from (
    {{ one_row_per_key(source("lake", "orders"), ["order_id"], ["updated_at desc nulls last", "_row_hash desc"]) }}
) as orders
