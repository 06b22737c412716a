{{
    config(
        materialized="incremental",
        incremental_strategy="touched_orders",
        on_schema_change="append_new_columns",
        meta={"follows": ["lake:orders"], "stale_orders": "touched_exported_orders"},
        pre_hook="{{ log_rebuilt_keys() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}
-- read by touched_exported_orders, which is only rendered when dbt runs
-- depends_on: {{ ref("stg_exchange_rates") }}

with

ranked_versions as (

    select
        versions.*,
        row_number() over (
            partition by versions.order_id
            order by
                {{ counting_version_first("versions.updated_at", "versions.row_hash") }}
        ) as version_rank
    from {{ ref("stg_order_versions") }} as versions
    where {{ in_touched_orders("versions.order_id") }}

)

select
    order_id,
    user_id,
    order_time,
    order_date,
    status,
    gross_amount,
    discount_amount,
    refund_amount,
    currency,
    exchange_rate,
    original_gross_amount,
    channel,
    coupon_code,
    seller_id,
    updated_at
from ranked_versions
where version_rank = 1
