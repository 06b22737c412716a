{{ config(severity="warn") }}
-- with a rate table, amounts in a currency it lacks stand in the marts unconverted
select
    orders.currency,
    count(*) as orders
from {{ ref("fct_orders") }} as orders
left join {{ ref("stg_exchange_rates") }} as rates
    on orders.currency = rates.currency
where
    {{ var("has_exchange_rates") | lower }}
    and orders.currency <> '{{ var("currency") }}'
    and rates.currency is null
group by orders.currency
