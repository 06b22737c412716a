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
from ({{ one_fact_per_key(source("lake", "order_items"), "event_date", "line_id") }}) as order_items
