-- the cohorts of the first purchase, all buyers with a first purchase, and the buyers in dim_users are the same people
with

cohorts as (

    select
        horizon_days,
        segment_type,
        sum(buyers) as buyers
    from {{ ref("agg_repeat_purchase") }}
    group by horizon_days, segment_type

),

buyers as (

    select count(*) as buyers
    from {{ ref("dim_users") }}
    where orders > 0

)

select
    cohorts.segment_type,
    cohorts.buyers,
    buyers.buyers as buyers_in_dim_users
from cohorts
cross join buyers
where cohorts.buyers <> buyers.buyers

union all

select
    'purchase 1' as segment_type,
    numbers.buyers,
    buyers.buyers as buyers_in_dim_users
from {{ ref("agg_purchase_numbers") }} as numbers
cross join buyers
where
    numbers.purchase_number = 1
    and numbers.buyers <> buyers.buyers
