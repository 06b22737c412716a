select
    line_id,
    order_id,
    product_id,
    product_name,
    category,
    quantity,
    unit_price,
    user_id,
    order_time,
    currency,
    channel,
    properties,
    event_date
from ({{ one_row_per_key(source("lake", "order_items"), ["event_date", "line_id"], ["_row_hash"]) }}) as order_items
