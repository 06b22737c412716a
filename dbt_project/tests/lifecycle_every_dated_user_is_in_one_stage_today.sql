-- current stages and dated users are the same people, once each
with

current_stages as (

    select
        user_id,
        count(*) as stages
    from {{ ref("fct_lifecycle_stages") }}
    where is_current
    group by user_id

)

select
    users.user_id,
    current_stages.stages
from {{ ref("dim_users") }} as users
left join current_stages
    on users.user_id = current_stages.user_id
where
    users.first_seen_date is not null
    and coalesce(current_stages.stages, 0) <> 1
