{#-
    The list of a date is written once, from what was known then, and kept: it is what the operators were given. Who is
    on it is decided in int_contact_lists.
-#}
{{
    config(
        materialized="incremental",
        incremental_strategy="append",
        on_schema_change="append_new_columns",
        pre_hook="{{ forget_list_dates() }}",
    )
}}

with

listed as (

    select
        lists.*,
        {{ risk_band("lists.probability") }} as risk_band
    from {{ ref("int_contact_lists") }} as lists
    where
        lists.list_name = 'churn_warning'
        and lists.fate <> 'suppressed'
        and {{ in_list_dates_to_write("lists.as_of_date") }}

),

explained as (

    select
        listed.*,
        {% for place in [1, 2, 3] -%}
        scores.reason_{{ place }}_code,
        scores.reason_{{ place }}_en,
        scores.reason_{{ place }}_zh,
        {% endfor -%}
        scores.model_is_degraded,
        stages.stage as lifecycle_stage
    from listed
    inner join {{ ref("fct_churn_scores") }} as scores
        on
            listed.as_of_date = scores.as_of_date
            and listed.user_id = scores.user_id
            and listed.model_version = scores.model_version
    left join {{ ref("fct_lifecycle_stages") }} as stages
        on
            listed.user_id = stages.user_id
            and listed.as_of_date >= stages.valid_from
            and (stages.valid_to is null or listed.as_of_date < stages.valid_to)

),

matching_actions as (

    {{ suggested_actions(
        "explained", ref("churn_actions"), {
            "reason_code": "coalesce(explained.reason_1_code, '')",
            "value_tier": "explained.value_tier",
            "lifecycle_stage": "coalesce(explained.lifecycle_stage, '')",
            "risk_band": "explained.risk_band",
        }
    ) }}

)

select
    explained.as_of_date,
    explained.list_rank as rank,
    explained.user_id,
    explained.probability as churn_probability,
    explained.risk_band,
    cast(explained.worth as decimal(18, 2)) as expected_loss,
    cast(explained.user_value as decimal(18, 2)) as user_value,
    explained.value_tier,
    explained.lifecycle_stage,
    explained.days_silent,
    round(explained.usual_gap_days, 1) as usual_gap_days,
    explained.reason_1_code,
    explained.reason_1_en,
    explained.reason_1_zh,
    explained.reason_2_code,
    explained.reason_2_en,
    explained.reason_2_zh,
    explained.reason_3_code,
    explained.reason_3_en,
    explained.reason_3_zh,
    actions.action_code,
    actions.suggested_action_en,
    actions.suggested_action_zh,
    explained.preferred_channel,
    explained.model_version,
    '{{ var("currency") }}' as currency,
    actions.incentive_code,
    actions.incentive_en,
    actions.incentive_zh,
    explained.team,
    explained.team_rank,
    explained.first_listed_on as first_warned_on,
    explained.days_on_list,
    explained.is_manual,
    explained.is_holdout,
    explained.experiment_from,
    explained.holdout_share,
    explained.model_is_degraded
from explained
left join matching_actions as actions
    on
        explained.as_of_date = actions.as_of_date
        and explained.user_id = actions.user_id
        and actions.rule_rank = 1
