with

versions as (

    select
        orders.*,
        coalesce(orders.currency, '{{ var("currency") }}') as amount_currency
    from {{ source("lake", "orders") }} as orders
    where {{ up_to_as_of("orders.event_date") }}

)

select
    versions.order_id,
    versions.user_id,
    versions.order_time,
    versions.event_date as order_date,
    coalesce(versions.status, 'paid') as status,
    {{ in_project_currency("coalesce(versions.gross_amount, 0)") }} as gross_amount,
    {{ in_project_currency("coalesce(versions.discount_amount, 0)") }} as discount_amount,
    {{ in_project_currency("coalesce(versions.refund_amount, 0)") }} as refund_amount,
    versions.amount_currency as currency,
    {{ exchange_rate() }} as exchange_rate,
    {{ money("coalesce(versions.gross_amount, 0)") }} as original_gross_amount,
    versions.channel,
    versions.coupon_code,
    versions.seller_id,
    versions.updated_at,
    versions.properties,
    versions._row_hash as row_hash
from versions
{{ join_exchange_rates("versions.amount_currency", "versions.event_date") }}
