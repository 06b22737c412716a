{{
    config(
        materialized="incremental",
        incremental_strategy="touched_users",
        on_schema_change="append_new_columns",
        meta={"user_column": "user_id", "follows": ["fct_user_days", "fct_sessions"]},
        pre_hook="{{ log_rebuilt_keys() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}

with

active_days as (

    select
        user_id,
        min(activity_date) as first_active_date,
        max(activity_date) as last_active_date,
        count(*) as active_days,
        sum(sessions) as sessions,
        sum(page_views) as page_views,
        sum(interactions) as interactions,
        sum(contributions) as contributions
    from {{ ref("fct_user_days") }}
    where {{ in_touched_users("user_id") }}
    group by user_id

),

-- apart from active days: a session with nothing but a login makes no active day
sessions as (

    select
        user_id,
        min(session_date) as first_session_date,
        min(case when is_logged_in then session_date end) as first_logged_in_date,
        {{ first_value_by("channel", ordered_by(["started_at", "session_key"])) }} as first_session_channel
    from {{ ref("fct_sessions") }}
    where {{ in_touched_users("user_id") }}
    group by user_id

)

select
    coalesce(active_days.user_id, sessions.user_id) as user_id,
    active_days.first_active_date,
    active_days.last_active_date,
    cast(coalesce(active_days.active_days, 0) as bigint) as active_days,
    sessions.first_session_channel,
    sessions.first_session_date,
    sessions.first_logged_in_date,
    cast(coalesce(active_days.sessions, 0) as bigint) as sessions,
    cast(coalesce(active_days.page_views, 0) as bigint) as page_views,
    cast(coalesce(active_days.interactions, 0) as bigint) as interactions,
    cast(coalesce(active_days.contributions, 0) as bigint) as contributions
from active_days
full outer join sessions
    on active_days.user_id = sessions.user_id
