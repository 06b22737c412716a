{#-
    The list of a date is written once, from what was known then, and kept: it is what the operators were given.
    Only the date of this run, and scored dates that have no list yet, are built.
-#}
{%- set limits = var("warning_list") -%}
{{
    config(
        materialized="incremental",
        incremental_strategy="append",
        on_schema_change="append_new_columns",
        pre_hook="{{ forget_churn_dates(ref('fct_churn_scores')) }}",
    )
}}

with

scores as (

    select
        fct_churn_scores.*,
        percent_rank() over (partition by as_of_date order by user_value) as value_rank
    from {{ ref("fct_churn_scores") }} as fct_churn_scores
    where {{ in_churn_dates_to_write(ref("fct_churn_scores")) }}

),

consents as (

    select
        user_id,
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
    from {{ ref("dim_users") }}

),

-- who refused every way of being contacted is not warned about; where nothing is known nobody has refused
ranked as (

    select
        scores.*,
        consents.consented_channel,
        row_number() over (
            partition by scores.as_of_date
            order by scores.expected_loss desc, scores.churn_probability desc, scores.user_id
        ) as list_rank,
        case
            when scores.churn_probability >= {{ limits.high_risk }} then 'high'
            when scores.churn_probability >= {{ limits.medium_risk }} then 'medium'
            else 'low'
        end as risk_band,
        case
            when scores.user_value <= 0 then 'low'
            when scores.value_rank >= 0.8 then 'high'
            when scores.value_rank >= 0.5 then 'medium'
            else 'low'
        end as value_tier
    from scores
    left join consents
        on scores.user_id = consents.user_id
    where
        scores.churn_probability >= {{ limits.min_probability }}
        and not coalesce(consents.has_refused_contact, false)

),

listed as (

    select *
    from ranked
    where list_rank <= {{ limits.max_users }}

),

listed_user_days as (

    select
        listed.as_of_date,
        listed.user_id,
        user_days.activity_date,
        user_days.primary_channel
    from listed
    inner join {{ ref("fct_user_days") }} as user_days
        on
            listed.user_id = user_days.user_id
            and listed.as_of_date >= user_days.activity_date

),

rhythm as (

    select
        as_of_date,
        user_id,
        {{ days_between("max(activity_date)", "as_of_date") }} as days_silent,
        case
            when count(*) >= 3
                then {{ share(days_between("min(activity_date)", "max(activity_date)"), "(count(*) - 1)") }}
        end as usual_gap_days
    from listed_user_days
    group by as_of_date, user_id

),

channels as (

    select
        as_of_date,
        user_id,
        primary_channel,
        row_number() over (
            partition by as_of_date, user_id
            order by count(*) desc, primary_channel
        ) as channel_rank
    from listed_user_days
    where
        primary_channel is not null
        and {{ days_between("activity_date", "as_of_date") }} < 90
    group by as_of_date, user_id, primary_channel

),

matching_actions as (

    select
        listed.as_of_date,
        listed.user_id,
        actions.action_code,
        actions.suggested_action_en,
        actions.suggested_action_zh,
        row_number() over (
            partition by listed.as_of_date, listed.user_id
            order by
                case when actions.reason_code = '*' then 1 else 0 end,
                case when actions.value_tier = '*' then 1 else 0 end,
                case when actions.risk_band = '*' then 1 else 0 end
        ) as rule_rank
    from listed
    inner join {{ ref("churn_actions") }} as actions
        on
            actions.risk_band in (listed.risk_band, '*')
            and actions.value_tier in (listed.value_tier, '*')
            and actions.reason_code in (coalesce(listed.reason_1_code, ''), '*')

)

select
    listed.as_of_date,
    cast(listed.list_rank as bigint) as rank,
    listed.user_id,
    listed.churn_probability,
    listed.risk_band,
    cast(listed.expected_loss as decimal(18, 2)) as expected_loss,
    cast(listed.user_value as decimal(18, 2)) as user_value,
    listed.value_tier,
    stages.stage as lifecycle_stage,
    cast(rhythm.days_silent as bigint) as days_silent,
    round(rhythm.usual_gap_days, 1) as usual_gap_days,
    listed.reason_1_code,
    listed.reason_1_en,
    listed.reason_1_zh,
    listed.reason_2_code,
    listed.reason_2_en,
    listed.reason_2_zh,
    listed.reason_3_code,
    listed.reason_3_en,
    listed.reason_3_zh,
    actions.action_code,
    actions.suggested_action_en,
    actions.suggested_action_zh,
    coalesce(listed.consented_channel, channels.primary_channel) as preferred_channel,
    listed.model_version,
    '{{ var("currency") }}' as currency
from listed
left join rhythm
    on
        listed.as_of_date = rhythm.as_of_date
        and listed.user_id = rhythm.user_id
left join channels
    on
        listed.as_of_date = channels.as_of_date
        and listed.user_id = channels.user_id
        and channels.channel_rank = 1
left join matching_actions as actions
    on
        listed.as_of_date = actions.as_of_date
        and listed.user_id = actions.user_id
        and actions.rule_rank = 1
left join {{ ref("fct_lifecycle_stages") }} as stages
    on
        listed.user_id = stages.user_id
        and listed.as_of_date >= stages.valid_from
        and (stages.valid_to is null or listed.as_of_date < stages.valid_to)
