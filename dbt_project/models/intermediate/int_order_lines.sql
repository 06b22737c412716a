-- read twice (for orders that only lines tell of, and for the lines themselves), deduplicated once
select
    line_id,
    event_date,
    order_id,
    product_id,
    product_name,
    category,
    quantity,
    unit_price,
    line_amount,
    user_id,
    order_time,
    currency,
    channel
from {{ ref("stg_order_items") }}
