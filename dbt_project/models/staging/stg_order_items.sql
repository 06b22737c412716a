select
    line_id,
    order_id,
    product_id,
    product_name,
    category,
    quantity,
    unit_price,
    {{ money("quantity * unit_price") }} as line_amount,
    user_id,
    order_time,
    coalesce(currency, '{{ var("currency") }}') as currency,
    channel,
    event_date
from ({{ one_row_per_key(source("lake", "order_items"), ["event_date", "line_id"], ["_row_hash"]) }}) as order_items
