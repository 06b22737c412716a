with

-- sorted, so that the text changes only when the tags do
tags_of_users as (

    select
        user_id,
        {{ dbt.listagg("tag_id", "','", "order by tag_id") }} as tags
    from {{ ref("fct_user_tags") }}
    group by user_id

),

-- users held out at random are left out: nobody may contact them
listed_users as (

    select
        user_id,
        'churn_warning' as list_name,
        suggested_action_en,
        suggested_action_zh
    from {{ ref("churn_warning_list") }}
    where
        as_of_date = {{ as_of() }}
        and not coalesce(is_holdout, false)

    union all

    select
        user_id,
        'winback' as list_name,
        suggested_action_en,
        suggested_action_zh
    from {{ ref("winback_list") }}
    where
        as_of_date = {{ as_of() }}
        and not coalesce(is_holdout, false)

),

-- a user put on both lists by hand is called for the warning list
calls as (

    select
        listed_users.*,
        row_number() over (partition by user_id order by list_name) as call_number
    from listed_users

)

select
    personas.user_id,
    personas.registered_at,
    personas.gender,
    personas.age_band,
    personas.region,
    personas.city,
    personas.acquisition_channel,
    personas.consent_email,
    personas.consent_sms,
    personas.consent_push,
    personas.lifecycle_stage,
    personas.lifecycle_stage_zh,
    personas.lifecycle_stage_since,
    personas.churn_risk_band,
    personas.value_tier,
    personas.value_tier_zh,
    personas.frequency_tier,
    personas.frequency_tier_zh,
    personas.buyer_tier,
    personas.buyer_tier_zh,
    personas.level,
    personas.rfm_segment,
    personas.rfm_segment_en,
    personas.rfm_segment_zh,
    personas.segment_name_en,
    personas.segment_name_zh,
    personas.roles,
    personas.preferred_channel,
    personas.interest_1,
    personas.interest_2,
    personas.interest_3,
    personas.last_active_date,
    personas.orders,
    personas.net_revenue,
    personas.average_order_value,
    '{{ var("currency") }}' as currency,
    personas.first_order_date,
    personas.last_order_date,
    tags_of_users.tags,
    calls.list_name as on_list,
    calls.suggested_action_en,
    calls.suggested_action_zh,
    personas.as_of_date
from {{ ref("dim_user_personas") }} as personas
left join tags_of_users
    on personas.user_id = tags_of_users.user_id
left join calls
    on
        personas.user_id = calls.user_id
        and calls.call_number = 1
where personas.is_identified
