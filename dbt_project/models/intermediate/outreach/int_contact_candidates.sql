{{ config(materialized="view") }}
{%- set suppression = var("outreach").suppression %}

with

candidates as (

    select
        'churn_warning' as list_name,
        as_of_date,
        user_id,
        churn_probability as probability,
        user_value,
        expected_loss as worth,
        value_tier,
        can_enter,
        is_added_by_hand,
        is_removed_by_hand,
        last_active_date,
        days_silent,
        usual_gap_days,
        cast(null as integer) as silence_band,
        channel,
        model_version
    from {{ ref("int_warning_candidates") }}

    union all

    select
        'winback' as list_name,
        as_of_date,
        user_id,
        return_probability as probability,
        user_value,
        expected_value as worth,
        value_tier,
        can_enter,
        is_added_by_hand,
        is_removed_by_hand,
        last_active_date,
        days_silent,
        usual_gap_days,
        silence_band,
        channel,
        cast(null as {{ dbt.type_string() }}) as model_version
    from {{ ref("int_winback_candidates") }}
    where
        can_enter
        or is_added_by_hand

),

people as (

    select distinct
        as_of_date,
        user_id
    from candidates

),

profile_versions as (

    select
        coalesce(accounts.user_id, versions.user_id) as user_id,
        versions.user_id as account_id,
        versions.region,
        versions.consent_push,
        versions.consent_sms,
        versions.consent_email,
        versions.updated_at,
        versions.row_hash,
        {{ local_date("versions.updated_at") }} as known_from
    from {{ ref("stg_user_versions") }} as versions
    left join {{ ref("int_identity_accounts") }} as accounts
        on versions.user_id = accounts.account_id

),

-- the profile as of the list's date: a consent given or withdrawn later does not change the list
profiles as (

    select
        people.as_of_date,
        people.user_id,
        versions.region,
        versions.consent_push,
        versions.consent_sms,
        versions.consent_email,
        row_number() over (
            partition by people.as_of_date, people.user_id
            order by
                case when versions.account_id = versions.user_id then 0 else 1 end,
                versions.updated_at desc nulls last,
                versions.row_hash desc
        ) as version_rank
    from people
    inner join profile_versions as versions
        on
            people.user_id = versions.user_id
            and (versions.known_from is null or people.as_of_date >= versions.known_from)

),

consents as (

    select
        as_of_date,
        user_id,
        region,
        case
            when consent_push then 'push'
            when consent_sms then 'sms'
            when consent_email then 'email'
        end as consented_channel,
        not(
            coalesce(consent_push, true)
            or coalesce(consent_sms, true)
            or coalesce(consent_email, true)
        ) as has_refused_contact
    from profiles
    where version_rank = 1

),

-- a complaint is settled when it was resolved, or else when the version with its closed status was written
complaints as (

    select
        user_id,
        feedback_date,
        case
            when resolved_at is not null then {{ local_date("resolved_at") }}
            when
                status is not null
                and lower(status) not in ({{ text_literals(suppression.open_statuses) }})
                then coalesce({{ local_date("updated_at") }}, feedback_date)
        end as settled_on
    from {{ ref("fct_feedback") }}
    where lower(kind) in ({{ text_literals(suppression.complaint_kinds) }})

),

users_with_open_complaint as (

    select distinct
        people.as_of_date,
        people.user_id
    from people
    inner join complaints
        on
            people.user_id = complaints.user_id
            and people.as_of_date >= complaints.feedback_date
            and {{ add_days("people.as_of_date", "-" ~ suppression.complaint_max_days) }} < complaints.feedback_date
            and (complaints.settled_on is null or people.as_of_date < complaints.settled_on)

),

users_contacted_lately as (

    select distinct
        people.as_of_date,
        people.user_id
    from people
    inner join {{ ref("int_outreach") }} as outreach
        on
            people.user_id = outreach.user_id
            and people.as_of_date >= outreach.outreach_date
            and {{ add_days("people.as_of_date", "-" ~ suppression.contacted_days) }} < outreach.outreach_date
    where outreach.is_contacted

)

select
    candidates.list_name,
    candidates.as_of_date,
    candidates.user_id,
    candidates.probability,
    candidates.user_value,
    candidates.worth,
    candidates.value_tier,
    candidates.can_enter,
    candidates.is_added_by_hand as is_manual,
    case
        when candidates.is_removed_by_hand then 'removed_by_hand'
        when consents.has_refused_contact then 'opted_out'
        when users_with_open_complaint.user_id is not null then 'complaint_open'
        when users_contacted_lately.user_id is not null then 'contacted_lately'
    end as suppression_reason,
    {{ team_of(
        "candidates.user_id", "consents.region", "coalesce(consents.consented_channel, candidates.channel)",
        "candidates.value_tier"
    ) }} as team,
    candidates.last_active_date,
    candidates.days_silent,
    candidates.usual_gap_days,
    candidates.silence_band,
    candidates.channel,
    coalesce(consents.consented_channel, candidates.channel) as preferred_channel,
    consents.region,
    candidates.model_version
from candidates
left join consents
    on
        candidates.as_of_date = consents.as_of_date
        and candidates.user_id = consents.user_id
left join users_with_open_complaint
    on
        candidates.as_of_date = users_with_open_complaint.as_of_date
        and candidates.user_id = users_with_open_complaint.user_id
left join users_contacted_lately
    on
        candidates.as_of_date = users_contacted_lately.as_of_date
        and candidates.user_id = users_contacted_lately.user_id
