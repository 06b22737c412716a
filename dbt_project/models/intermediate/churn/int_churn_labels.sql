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

users_who_came as (

    select distinct
        users.user_id,
        users.as_of_date
    from users_whose_horizon_has_passed as users
    left join {{ ref("int_identity_accounts") }} as accounts
        on users.user_id = accounts.account_id
    inner join {{ ref("fct_user_days") }} as days
        on
            coalesce(accounts.user_id, users.user_id) = days.user_id
            and users.lead_ends_on < days.activity_date
            and users.horizon_ends_on >= days.activity_date

)

select
    users.user_id,
    users.as_of_date,
    users_who_came.user_id is null as is_churned
from users_whose_horizon_has_passed as users
left join users_who_came
    on
        users.user_id = users_who_came.user_id
        and users.as_of_date = users_who_came.as_of_date
