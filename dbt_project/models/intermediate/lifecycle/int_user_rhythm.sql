{{
    config(
        materialized="incremental",
        incremental_strategy="touched_users",
        on_schema_change="append_new_columns",
        meta={"user_column": "user_id", "follows": ["fct_user_days"], "settings": ["lifecycle"]},
        pre_hook="{{ log_rebuilt_users() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}
{%- set settings = var("lifecycle") %}

with

active_days as (

    select
        user_id,
        activity_date,
        row_number() over in_order as active_days_so_far,
        lag(activity_date) over in_order as previous_active_date,
        lead(activity_date) over in_order as next_active_date,
        min(activity_date) over (partition by user_id) as first_active_date
    from {{ ref("fct_user_days") }}
    where {{ in_touched_users("user_id") }}
    window in_order as (
        partition by user_id
        order by activity_date
    )

),

gaps as (

    select
        active_days.*,
        {{ days_between("previous_active_date", "activity_date") }} as gap_days
    from active_days

),

-- being away is not a rhythm: a gap long enough to be a churn says nothing about the usual one
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
    active_days_so_far >= 3 and usual_gaps >= 2 as has_own_rhythm,
    case
        when active_days_so_far >= 3 and usual_gaps >= 2 then {{ share("usual_gaps_total", "usual_gaps") }}
        else cast({{ settings.default_gap_days }} as double)
    end as usual_gap_days,
    case
        when active_days_so_far >= 3 and usual_gaps >= 2 then {{ at_risk_after_days("usual_gaps_total", "usual_gaps") }}
        else {{ at_risk_after_days(settings.default_gap_days, 1) }}
    end as at_risk_after_days
from gaps_so_far
