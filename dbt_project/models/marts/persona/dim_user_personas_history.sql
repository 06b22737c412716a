{%- set attributes = [
    "gender", "region", "city", "city_tier", "city_tier_zh", "acquisition_channel", "referrer_user_id", "roles",
    "consent_email", "consent_sms", "consent_push",
] -%}

with

users as (

    select
        users.user_id,
        users.first_seen_date,
        users.acquisition_channel,
        profiles.profile_account_id
    from {{ ref("dim_users") }} as users
    inner join {{ ref("int_users") }} as profiles
        on users.user_id = profiles.user_id

),

-- the last version of a day is the profile at its end; versions without a time are older than all others
versions as (

    select
        versions.*,
        {{ local_date("versions.updated_at") }} as version_date,
        row_number() over (
            partition by versions.user_id, {{ local_date("versions.updated_at") }}
            order by versions.updated_at desc, versions.row_hash desc
        ) as recency_in_day
    from {{ ref("stg_user_versions") }} as versions

),

versions_in_order as (

    select
        users.user_id,
        users.first_seen_date,
        versions.version_date,
        row_number() over (partition by users.user_id order by versions.version_date nulls first) as version_number,
        lead(versions.version_date) over (
            partition by users.user_id
            order by versions.version_date nulls first
        ) as next_version_date,
        versions.gender,
        versions.region,
        versions.city,
        {{ city_tier("versions.city", "cities.city_tier") }} as city_tier,
        {{ city_tier_zh("versions.city", "cities.city_tier_zh") }} as city_tier_zh,
        -- the acquisition channel of a user never changes: a version without one has that of dim_users
        coalesce(versions.acquisition_channel, users.acquisition_channel) as acquisition_channel,
        case
            when coalesce(referrers.user_id, versions.referrer_user_id) <> users.user_id
                then coalesce(referrers.user_id, versions.referrer_user_id)
        end as referrer_user_id,
        versions.roles,
        versions.consent_email,
        versions.consent_sms,
        versions.consent_push
    from versions
    inner join users
        on versions.user_id = users.profile_account_id
    left join {{ ref("int_identity_accounts") }} as referrers
        on versions.referrer_user_id = referrers.account_id
    left join {{ ref("city_tiers") }} as cities
        on {{ city_key("versions.city") }} = cities.city_key
    where versions.recency_in_day = 1

),

-- the first version holds from the first trace of the user on, as no older one is known
dated_versions as (

    select
        versions_in_order.*,
        case
            when version_number > 1 then version_date
            when first_seen_date < version_date then first_seen_date
            else coalesce(version_date, first_seen_date)
        end as version_from
    from versions_in_order

),

-- leaves out versions without a time that another one replaces before they were ever valid
seen_versions as (

    select
        dated_versions.*,
        {{ hash_key(attributes) }} as attributes_key
    from dated_versions
    where
        version_from is not null
        and (next_version_date is null or version_from < next_version_date)

),

versions_with_previous as (

    select
        seen_versions.*,
        lag(attributes_key) over (partition by user_id order by version_from) as previous_attributes_key
    from seen_versions

),

changes as (

    select
        versions_with_previous.*,
        lead(version_from) over (partition by user_id order by version_from) as valid_to
    from versions_with_previous
    where
        previous_attributes_key is null
        or previous_attributes_key <> attributes_key

)

select
    user_id,
    {% for attribute in attributes %}
    {{ attribute }},
    {% endfor %}
    version_from as valid_from,
    valid_to,
    valid_to is null as is_current
from changes
