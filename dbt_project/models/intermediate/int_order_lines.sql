{{
    config(
        materialized="incremental",
        incremental_strategy="touched_orders",
        on_schema_change="append_new_columns",
        meta={
            "follows": ["lake:order_items", "int_exported_orders"],
            "stale_orders": "touched_orders_of_lines",
        },
        pre_hook="{{ log_rebuilt_keys() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}
-- read by touched_orders_of_lines, which is only rendered when dbt runs
-- depends_on: {{ ref("stg_exchange_rates") }}
-- depends_on: {{ ref("stg_ingest_batches") }}
-- depends_on: {{ ref("stg_ingest_batch_dates") }}

with

exported_lines as (

    select
        line_id,
        event_date,
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
        row_hash
    from ({{ one_fact_per_key(
        ref("stg_order_items"), "event_date", ["order_id", "line_id"], row_hash="row_hash",
        wanted="true" if rebuilds_everything() else on_touched_dates("event_date") ~ " and " ~ in_touched_orders("order_id")
    ) }}) as items
    {% if not rebuilds_everything() %}

    union all

    -- lines of other dates have not changed, but what they take from their order may have
    select
        line_id,
        event_date,
        order_id,
        product_id,
        product_name,
        category,
        quantity,
        original_unit_price as unit_price,
        user_id,
        order_time,
        exported_currency as currency,
        channel,
        row_hash
    from {{ this }}
    where
        {{ in_touched_orders("order_id") }}
        and not ({{ on_touched_dates("event_date") }})
    {% endif %}

),

-- a line without a time or a currency of its own has those of its order
lines as (

    select
        items.*,
        coalesce(items.currency, orders.currency, '{{ var("currency") }}') as price_currency,
        case
            when items.order_time is null and orders.order_date is not null then orders.order_date
            else items.event_date
        end as price_date,
        orders.order_id is not null as has_exported_order
    from exported_lines as items
    left join {{ ref("int_exported_orders") }} as orders
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
    lines.currency as exported_currency,
    lines.price_currency as currency,
    lines.price_date,
    lines.exchange_rate,
    lines.unit_price as original_unit_price,
    lines.channel,
    lines.row_hash,
    lines.has_exported_order
from converted_lines as lines
