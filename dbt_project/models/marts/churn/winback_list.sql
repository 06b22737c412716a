{#-
    The list of a date is written once, from what was known then, and kept. Who is on it is decided in
    int_contact_lists.
-#}
{%- set settings = var("winback_list") -%}
{%- set kinds = ["campaign", "coupon", "category", "channel"] -%}
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
        similar_users.similar_users,
        similar_users.similar_returned
    from {{ ref("int_contact_lists") }} as lists
    inner join {{ ref("int_winback_candidates") }} as similar_users
        on
            lists.as_of_date = similar_users.as_of_date
            and lists.user_id = similar_users.user_id
    where
        lists.list_name = 'winback'
        and lists.fate <> 'suppressed'
        and {{ in_list_dates_to_write("lists.as_of_date") }}

),

told_triggers as (

    select
        as_of_date,
        value_tier,
        silence_band,
        trigger_kind,
        trigger_value,
        returns_after,
        similar_returns,
        returns_share,
        row_number() over (
            partition by as_of_date, value_tier, silence_band
            order by
                case trigger_kind
                    when 'contact' then 1 when 'campaign' then 2 when 'coupon' then 3 when 'category' then 4 else 5
                end
        ) as telling_rank
    from {{ ref("agg_winback_triggers") }}
    where
        kind_rank = 1
        and returns_after >= {{ settings.min_returns }}
        and returns_share >= {{ settings.min_trigger_share }}

),

triggers_by_kind as (

    select
        as_of_date,
        value_tier,
        silence_band,
        {%- for kind in kinds %}
        max(case when trigger_kind = '{{ kind }}' then trigger_value end) as {{ kind }}_value,
        {%- endfor %}
        max(case when telling_rank = 1 then trigger_kind end) as main_kind,
        max(case when telling_rank = 1 then trigger_value end) as main_value,
        max(case when telling_rank = 1 then returns_after end) as main_returns,
        max(case when telling_rank = 1 then similar_returns end) as main_similar_returns
    from told_triggers
    group by as_of_date, value_tier, silence_band

),

explained as (

    select
        listed.*,
        triggers.main_kind,
        triggers.main_value,
        triggers.main_returns,
        triggers.main_similar_returns,
        triggers.campaign_value,
        triggers.coupon_value,
        triggers.category_value,
        triggers.channel_value
    from listed
    left join triggers_by_kind as triggers
        on
            listed.as_of_date = triggers.as_of_date
            and listed.value_tier = triggers.value_tier
            and listed.silence_band = triggers.silence_band

),

matching_actions as (

    {{ suggested_actions(
        "explained", ref("winback_actions"), {
            "trigger_kind": "coalesce(explained.main_kind, '')",
            "value_tier": "explained.value_tier",
            "silence_band": "cast(explained.silence_band as " ~ dbt.type_string() ~ ")",
        }
    ) }}

)

select
    explained.as_of_date,
    explained.list_rank as rank,
    explained.user_id,
    explained.probability as return_probability,
    cast(explained.worth as decimal(18, 2)) as expected_value,
    cast(explained.user_value as decimal(18, 2)) as user_value,
    explained.value_tier,
    explained.last_active_date,
    explained.days_silent,
    round(explained.usual_gap_days, 1) as usual_gap_days,
    explained.silence_band,
    {{ silence_band_name("explained.silence_band") }} as silence_days,
    explained.similar_users,
    explained.similar_returned,
    explained.main_kind as trigger_kind,
    explained.main_value as trigger_value,
    {{ return_trigger_sentence(
        "en", "explained.main_kind", "explained.main_value", "explained.main_returns",
        "explained.main_similar_returns", "explained.silence_band"
    ) }} as trigger_en,
    {{ return_trigger_sentence(
        "zh", "explained.main_kind", "explained.main_value", "explained.main_returns",
        "explained.main_similar_returns", "explained.silence_band"
    ) }} as trigger_zh,
    explained.campaign_value as similar_campaign,
    explained.coupon_value as similar_coupon,
    explained.category_value as similar_category,
    explained.channel_value as similar_channel,
    actions.action_code,
    actions.suggested_action_en,
    actions.suggested_action_zh,
    actions.incentive_code,
    actions.incentive_en,
    actions.incentive_zh,
    explained.preferred_channel,
    explained.team,
    explained.team_rank,
    explained.first_listed_on,
    explained.days_on_list,
    explained.is_manual,
    explained.is_holdout,
    explained.experiment_from,
    explained.holdout_share,
    '{{ var("currency") }}' as currency
from explained
left join matching_actions as actions
    on
        explained.as_of_date = actions.as_of_date
        and explained.user_id = actions.user_id
        and actions.rule_rank = 1
