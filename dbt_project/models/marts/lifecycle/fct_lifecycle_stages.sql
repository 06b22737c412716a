{{
    config(
        materialized="incremental",
        incremental_strategy="touched_users",
        on_schema_change="append_new_columns",
        meta={
            "user_column": "user_id",
            "follows": ["int_user_rhythm"],
            "stale_users": "users_with_outdated_stages",
            "settings": ["lifecycle"],
        },
        pre_hook="{{ log_rebuilt_keys() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}
{%- set settings = var("lifecycle") -%}
{%- set thresholds = ["identified_from", "new_until", "returned_until", "at_risk_from", "churned_from"] %}

with

users as (

    select
        user_id,
        first_seen_date,
        identified_from,
        first_active_date
    from {{ ref("dim_users") }}
    where
        first_seen_date is not null
        and {{ in_touched_users("user_id") }}

),

-- dates from which silence is counted: each active day, and before the first one the first trace and identification
moments as (

    select
        rhythm.user_id,
        rhythm.activity_date as moment_date,
        rhythm.next_active_date as next_moment_date,
        rhythm.active_days_so_far,
        rhythm.at_risk_after_days,
        users.identified_from,
        greatest(rhythm.first_active_date, users.identified_from) as new_from,
        rhythm.comeback_date
    from {{ ref("int_user_rhythm") }} as rhythm
    inner join users
        on rhythm.user_id = users.user_id
    where {{ in_touched_users("rhythm.user_id") }}

    union all

    select
        user_id,
        first_seen_date as moment_date,
        case
            when
                identified_from > first_seen_date
                and (first_active_date is null or identified_from < first_active_date)
                then identified_from
            else first_active_date
        end as next_moment_date,
        0 as active_days_so_far,
        {{ at_risk_after_days(settings.default_gap_days, 1) }} as at_risk_after_days,
        identified_from,
        identified_from as new_from,
        cast(null as date) as comeback_date
    from users
    where
        first_active_date is null
        or first_seen_date < first_active_date

    union all

    select
        user_id,
        identified_from as moment_date,
        first_active_date as next_moment_date,
        0 as active_days_so_far,
        {{ at_risk_after_days(settings.default_gap_days, 1) }} as at_risk_after_days,
        identified_from,
        identified_from as new_from,
        cast(null as date) as comeback_date
    from users
    where
        identified_from > first_seen_date
        and (first_active_date is null or identified_from < first_active_date)

),

moments_with_thresholds as (

    select
        user_id,
        moment_date,
        next_moment_date,
        active_days_so_far,
        identified_from,
        {{ add_days("new_from", settings.new_days) }} as new_until,
        case
            when comeback_date > {{ add_days("new_from", settings.new_days) }}
                then {{ add_days("comeback_date", settings.returned_days) }}
        end as returned_until,
        {{ add_days("moment_date", "at_risk_after_days + 1") }} as at_risk_from,
        {{ add_days("moment_date", settings.churned_after_days) }} as churned_from
    from moments

),

-- A stage can change only at a moment, or on the date of a threshold before the next moment. After the last moment
-- these dates may lie in the future. A date can occur twice, always with the same stage.
boundaries as (

    select
        moments_with_thresholds.*,
        moment_date as boundary_date
    from moments_with_thresholds
    {% for threshold in thresholds %}

    union all

    select
        moments_with_thresholds.*,
        {{ threshold }} as boundary_date
    from moments_with_thresholds
    where
        {{ threshold }} > moment_date
        and (next_moment_date is null or {{ threshold }} < next_moment_date)
    {% endfor %}

),

-- the first rule that matches wins
stages as (

    select
        user_id,
        identified_from,
        boundary_date,
        case
            when identified_from is null or boundary_date < identified_from then 'visitor'
            when boundary_date < new_until then 'new'
            when boundary_date >= churned_from then 'churned'
            when boundary_date >= at_risk_from then 'at_risk'
            when active_days_so_far = 0 then 'new'
            when boundary_date < returned_until then 'returned'
            when active_days_so_far < {{ settings.mature_active_days }} then 'growing'
            else 'mature'
        end as stage
    from boundaries

),

stages_with_previous as (

    select
        user_id,
        identified_from,
        boundary_date,
        stage,
        lag(stage) over (partition by user_id order by boundary_date) as previous_stage
    from stages

),

changes as (

    select
        user_id,
        identified_from,
        stage,
        previous_stage,
        boundary_date as valid_from,
        lead(boundary_date) over (partition by user_id order by boundary_date) as next_change_date,
        lead(stage) over (partition by user_id order by boundary_date) as next_stage
    from stages_with_previous
    where
        previous_stage is null
        or previous_stage <> stage

)

-- changes after the as-of date are foreseen, but have not happened
select
    user_id,
    stage,
    {{ stage_zh("stage") }} as stage_zh,
    previous_stage,
    valid_from,
    case when {{ up_to_as_of("next_change_date") }} then next_change_date end as valid_to,
    next_change_date is null or next_change_date > {{ as_of() }} as is_current,
    case when next_change_date > {{ as_of() }} then next_change_date end as next_change_date,
    case when next_change_date > {{ as_of() }} then next_stage end as next_stage,
    identified_from
from changes
where {{ up_to_as_of("valid_from") }}
