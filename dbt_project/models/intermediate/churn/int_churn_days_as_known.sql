{#- An anonymous day belongs to whom the links up to the observation date say (int_churn_identities). -#}
with

observation_dates as (

    {{ observation_dates() }}

),

devices_as_known as (

    select
        as_of_date,
        id as anonymous_id,
        user_id
    from {{ ref("int_churn_identities") }}
    where kind = 'device'

),

accounts_as_known as (

    select
        as_of_date,
        id as account_id,
        user_id
    from {{ ref("int_churn_identities") }}
    where kind = 'user'

),

device_days as (

    select
        dates.as_of_date,
        coalesce(accounts.user_id, days.login_user_id, devices.user_id) as user_id,
        days.activity_date,
        {{ days_between("days.activity_date", "dates.as_of_date") }} as days_ago,
        days.channel,
        days.activity_events,
        days.sessions,
        days.page_views,
        days.interactions,
        days.contributions,
        days.active_seconds,
        days.distinct_categories
    from {{ ref("int_churn_device_days") }} as days
    inner join observation_dates as dates
        on days.activity_date <= dates.as_of_date
    left join accounts_as_known as accounts
        on
            dates.as_of_date = accounts.as_of_date
            and days.login_user_id = accounts.account_id
    left join devices_as_known as devices
        on
            dates.as_of_date = devices.as_of_date
            and days.anonymous_id = devices.anonymous_id

)

select *
from device_days
where user_id is not null
