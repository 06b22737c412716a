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
    event_date,
    _batch_id as batch_id,
    _row_hash as row_hash
from {{ source("lake", "order_items") }}
where {{ up_to_as_of("event_date") }}
