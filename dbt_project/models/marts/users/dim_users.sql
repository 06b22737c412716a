with

users as (

    select user_id from {{ ref("int_users") }}
    union
    select user_id from {{ ref("int_user_sightings") }}

),

purchases as (

    select
        user_id,
        sum(case when is_purchase then 1 else 0 end) as orders,
        sum(net_amount) as net_revenue
    from {{ ref("fct_orders") }}
    where
        user_id is not null
        and not is_cancelled
    group by user_id

)

select
    users.user_id,
    profiles.user_id is not null or sightings.identified_from is not null as is_identified,
    profiles.registered_at,
    profiles.gender,
    profiles.birth_date,
    profiles.region,
    profiles.city,
    coalesce(profiles.acquisition_channel, activity.first_session_channel) as acquisition_channel,
    activity.first_session_channel,
    profiles.referrer_user_id,
    profiles.roles,
    profiles.consent_email,
    profiles.consent_sms,
    profiles.consent_push,
    sightings.first_seen_date,
    sightings.identified_from,
    activity.first_active_date,
    activity.last_active_date,
    cast(coalesce(activity.active_days, 0) as bigint) as active_days,
    cast(coalesce(purchases.orders, 0) as bigint) as orders,
    {{ money("coalesce(purchases.net_revenue, 0)") }} as net_revenue
from users
left join {{ ref("int_users") }} as profiles
    on users.user_id = profiles.user_id
left join {{ ref("int_user_sightings") }} as sightings
    on users.user_id = sightings.user_id
left join {{ ref("int_user_activity") }} as activity
    on users.user_id = activity.user_id
left join purchases
    on users.user_id = purchases.user_id
