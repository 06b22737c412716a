-- on the as-of date the running totals arrive at the number of open intervals
with

current_users as (

    select
        stage,
        count(*) as users
    from {{ ref("fct_lifecycle_stages") }}
    where is_current
    group by stage

)

select
    daily.stage,
    daily.users,
    current_users.users as current_users
from {{ ref("agg_lifecycle_daily") }} as daily
left join current_users
    on daily.stage = current_users.stage
where
    daily.stage_date = {{ as_of() }}
    and daily.users <> coalesce(current_users.users, 0)
