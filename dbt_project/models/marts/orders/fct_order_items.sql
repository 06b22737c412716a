{{
    config(
        materialized="incremental",
        incremental_strategy="touched_orders",
        on_schema_change="append_new_columns",
        meta={"follows": ["fct_orders"]},
        pre_hook="{{ log_rebuilt_keys() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}
select
    lines.order_id,
    lines.line_id,
    lines.product_id,
    lines.product_name,
    lines.category,
    lines.quantity,
    lines.unit_price,
    lines.line_amount,
    lines.currency,
    lines.exchange_rate,
    lines.original_unit_price,
    case when lines.order_time is not null then lines.event_date end as line_date,
    orders.order_date,
    orders.user_id,
    orders.is_cancelled,
    orders.is_purchase
from {{ ref("int_order_lines") }} as lines
inner join {{ ref("fct_orders") }} as orders
    on lines.order_id = orders.order_id
where {{ in_touched_orders("lines.order_id") }}
