with

-- the first rate of a currency also counts before its date
rates_in_order as (

    select
        currency,
        rate_date,
        rate,
        row_number() over (partition by currency order by rate_date) as rate_number,
        lead(rate_date) over (partition by currency order by rate_date) as valid_to
    from {{ source("lake_control", "exchange_rates") }}

)

select
    currency,
    rate_date,
    case when rate_number = 1 then cast('0001-01-01' as date) else rate_date end as valid_from,
    valid_to,
    cast(rate as {{ rate_type() }}) as rate
from rates_in_order
