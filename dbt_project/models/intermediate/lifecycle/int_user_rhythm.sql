{{
    config(
        materialized="incremental",
        incremental_strategy="touched_users",
        on_schema_change="append_new_columns",
        meta={"user_column": "user_id", "follows": ["fct_user_days"], "settings": ["lifecycle"]},
        pre_hook="{{ log_rebuilt_keys() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}
{%- set settings = var("lifecycle") %}
{%- set parts_of_days = ["channel", "device"] %}

with

user_days as (

    select
        user_id,
        activity_date,
        coalesce(primary_channel, 'unknown') as channel,
        coalesce(primary_device, 'unknown') as device,
        contributions,
        interactions,
        orders,
        net_revenue
    from {{ ref("fct_user_days") }}
    where {{ in_touched_users("user_id") }}

),

active_days as (

    select
        user_days.*,
        row_number() over in_order as active_days_so_far,
        lag(activity_date) over in_order as previous_active_date,
        lead(activity_date) over in_order as next_active_date,
        {%- for part in parts_of_days %}
        lag({{ part }}) over in_order as previous_{{ part }},
        lead({{ part }}) over in_order as next_{{ part }},
        {%- endfor %}
        min(activity_date) over (partition by user_id) as first_active_date
    from user_days
    window in_order as (
        partition by user_id
        order by activity_date
    )

),

{% for part in parts_of_days -%}
-- only next to a change of {{ part }} can the previous day with the same one be another than the previous active day
changes_of_{{ part }} as (

    select
        user_id,
        activity_date,
        lag(activity_date) over (
            partition by user_id, {{ part }}
            order by activity_date
        ) as previous_date_with_{{ part }}
    from active_days
    where {{ part }} <> previous_{{ part }} or {{ part }} <> next_{{ part }}

),

{% endfor -%}
previous_dates as (

    select
        {%- for part in parts_of_days %}
        case
            when active_days.{{ part }} = active_days.previous_{{ part }} then active_days.previous_active_date
            else changes_of_{{ part }}.previous_date_with_{{ part }}
        end as previous_date_with_{{ part }},
        {%- endfor %}
        active_days.*
    from active_days
    left join changes_of_channel
        on
            active_days.user_id = changes_of_channel.user_id
            and active_days.activity_date = changes_of_channel.activity_date
    left join changes_of_device
        on
            active_days.user_id = changes_of_device.user_id
            and active_days.activity_date = changes_of_device.activity_date

),

gaps as (

    select
        {%- for part in parts_of_days %}
        {{ days_between("previous_date_with_" ~ part, "activity_date") }} as gap_days_with_{{ part }},
        {%- endfor %}
        {{ days_between("previous_active_date", "activity_date") }} as gap_days,
        previous_dates.*
    from previous_dates

),

-- usual gaps leave out those longer than a churn: having been away says nothing about how often a user comes
gaps_so_far as (

    select
        gaps.*,
        count(case when gap_days <= {{ settings.churned_after_days }} then gap_days end) over so_far as usual_gaps,
        sum(case when gap_days <= {{ settings.churned_after_days }} then gap_days end) over so_far as usual_gaps_total,
        max(case when gap_days > {{ settings.churned_after_days }} then activity_date end) over so_far as comeback_date
    from gaps
    window so_far as (
        partition by user_id
        order by activity_date
        rows between unbounded preceding and current row
    )

)

select
    user_id,
    activity_date,
    cast(active_days_so_far as bigint) as active_days_so_far,
    first_active_date,
    gap_days,
    next_active_date,
    comeback_date,
    case
        when usual_gaps >= 2 then {{ at_risk_after_days("usual_gaps_total", "usual_gaps") }}
        else {{ at_risk_after_days(settings.default_gap_days, 1) }}
    end as at_risk_after_days,
    channel,
    device,
    gap_days_with_channel,
    gap_days_with_device,
    contributions,
    interactions,
    orders,
    net_revenue
from gaps_so_far
