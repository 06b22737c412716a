with

-- a list price is converted at the rate of the day it was written, or of the as-of date where that day is not known
products as (

    select
        versions.*,
        coalesce(versions.currency, '{{ var("currency") }}') as price_currency,
        case when versions.updated_at is null then {{ as_of() }} else versions.event_date end as price_date
    from (
        {{ one_row_per_key(
            source("lake", "products"), ["product_id"], ["updated_at desc nulls last", "_row_hash desc"]
        ) }}
    ) as versions

)

select
    products.product_id,
    products.product_name,
    products.category,
    {{ in_project_currency("products.unit_price") }} as unit_price,
    products.price_currency as currency,
    products.seller_id,
    products.updated_at,
    products.properties
from products
{{ join_exchange_rates("products.price_currency", "products.price_date") }}
