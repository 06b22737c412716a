-- of accounts that are one person, the profile of the account whose id the person has counts, else the newest
with

profiles as (

    select
        users.*,
        coalesce(accounts.user_id, users.user_id) as person_id,
        coalesce(referrers.user_id, users.referrer_user_id) as referrer_person_id
    from {{ ref("stg_users") }} as users
    left join {{ ref("int_identity_accounts") }} as accounts
        on users.user_id = accounts.account_id
    left join {{ ref("int_identity_accounts") }} as referrers
        on users.referrer_user_id = referrers.account_id

),

ranked_profiles as (

    select
        profiles.*,
        min(registered_at) over (partition by person_id) as first_registered_at,
        row_number() over (
            partition by person_id
            order by case when user_id = person_id then 0 else 1 end, updated_at desc nulls last, user_id
        ) as profile_rank
    from profiles

)

select
    person_id as user_id,
    ranked_profiles.user_id as profile_account_id,
    first_registered_at as registered_at,
    gender,
    birth_date,
    region,
    city,
    acquisition_channel,
    -- an account that turned out to be the person's own invited nobody
    case when referrer_person_id <> person_id then referrer_person_id end as referrer_user_id,
    roles,
    consent_email,
    consent_sms,
    consent_push,
    updated_at,
    properties
from ranked_profiles
where profile_rank = 1
