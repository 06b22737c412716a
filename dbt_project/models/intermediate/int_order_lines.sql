-- read twice (for orders that only lines tell of, and for the lines themselves), deduplicated once
with

-- a line that says neither when nor in which currency means what its order says
lines as (

    select
        items.*,
        coalesce(items.currency, orders.currency, '{{ var("currency") }}') as price_currency,
        case
            when items.order_time is null and orders.order_date is not null then orders.order_date
            else items.event_date
        end as price_date
    from {{ ref("stg_order_items") }} as items
    left join {{ ref("stg_orders") }} as orders
        on items.order_id = orders.order_id

),

converted_lines as (

    select
        lines.*,
        {{ exchange_rate() }} as exchange_rate,
        {{ in_project_currency("lines.unit_price") }} as converted_unit_price
    from lines
    {{ join_exchange_rates("lines.price_currency", "lines.price_date") }}

)

select
    lines.line_id,
    lines.event_date,
    lines.order_id,
    lines.product_id,
    lines.product_name,
    lines.category,
    lines.quantity,
    lines.converted_unit_price as unit_price,
    {{ money(pieces_times_price("lines.quantity", "lines.converted_unit_price")) }} as line_amount,
    lines.user_id,
    lines.order_time,
    lines.price_currency as currency,
    lines.exchange_rate,
    lines.unit_price as original_unit_price,
    lines.channel
from converted_lines as lines
