-- every purchase of a known buyer is on exactly one user day, and none is there twice
with

on_user_days as (

    select coalesce(sum(orders), 0) as orders
    from {{ ref("fct_user_days") }}

),

of_buyers as (

    select count(*) as orders
    from {{ ref("fct_orders") }}
    where
        is_purchase
        and user_id is not null

)

select
    on_user_days.orders as orders_on_user_days,
    of_buyers.orders as orders_of_buyers
from on_user_days
cross join of_buyers
where on_user_days.orders <> of_buyers.orders
