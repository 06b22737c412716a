{%- set lead_days = var('churn')['lead_days'] -%}
{%- set horizon_days = var('churn')['horizon_days'] -%}

with

observed_users as (

    select
        user_id,
        as_of_date,
        {{ add_days("as_of_date", lead_days) }} as lead_ends_on,
        {{ add_days("as_of_date", lead_days + horizon_days) }} as horizon_ends_on
    from {{ ref("int_churn_features") }}

),

users_whose_horizon_has_passed as (

    select *
    from observed_users
    where horizon_ends_on <= {{ as_of() }}

),

active_days_in_horizon as (

    select
        users.user_id,
        users.as_of_date,
        count(*) as active_days
    from users_whose_horizon_has_passed as users
    left join {{ ref("int_identity_accounts") }} as accounts
        on users.user_id = accounts.account_id
    inner join {{ ref("fct_user_days") }} as days
        on
            coalesce(accounts.user_id, users.user_id) = days.user_id
            and users.lead_ends_on < days.activity_date
            and users.horizon_ends_on >= days.activity_date
    group by 1, 2

)

select
    users.user_id,
    users.as_of_date,
    coalesce(active.active_days, 0) as active_days_in_horizon,
    coalesce(active.active_days, 0) = 0 as is_churned
from users_whose_horizon_has_passed as users
left join active_days_in_horizon as active
    on
        users.user_id = active.user_id
        and users.as_of_date = active.as_of_date
