{#-
    Whose an anonymous event is may become known later, at a login. This model therefore keeps the login as it stands in
    the event, and int_churn_days_as_known decides for each observation date by the links known on that date.
-#}
{{
    config(
        materialized="incremental",
        incremental_strategy="touched_dates",
        on_schema_change="append_new_columns",
        meta={"business_date": "activity_date", "follows": ["int_events"]},
        pre_hook="{{ log_rebuilt_dates() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}

with

events as (

    select
        event_date as activity_date,
        anonymous_id,
        login_user_id,
        coalesce(anonymous_id, login_user_id) as device_id,
        event_id,
        event_time,
        source_session_id,
        channel,
        is_activity,
        is_page_view,
        is_interaction,
        is_contribution,
        object_category
    from {{ ref("int_events") }}
    where {{ in_touched_dates("event_date") }}

),

events_after_previous as (

    select
        events.*,
        lag(source_session_id) over (
            partition by activity_date, device_id
            order by event_time, event_id
        ) as previous_session_id,
        {{ seconds_between(
            "lag(event_time) over (partition by activity_date, device_id order by event_time, event_id)", "event_time"
        ) }} as seconds_since_previous
    from events

),

events_with_session_starts as (

    select
        events_after_previous.*,
        case
            when seconds_since_previous is null then 1
            when source_session_id is not null and source_session_id = previous_session_id then 0
            when seconds_since_previous > {{ var("session_gap_minutes") * 60 }} then 1
            when coalesce(source_session_id, '') <> coalesce(previous_session_id, '') then 1
            else 0
        end as starts_session
    from events_after_previous

)

select
    activity_date,
    anonymous_id,
    login_user_id,
    min(channel) as channel,
    sum(case when is_activity then 1 else 0 end) as activity_events,
    sum(starts_session) as sessions,
    sum(case when is_page_view then 1 else 0 end) as page_views,
    sum(case when is_interaction then 1 else 0 end) as interactions,
    sum(case when is_contribution then 1 else 0 end) as contributions,
    sum(
        case
            when starts_session = 0 and seconds_since_previous <= {{ var("session_gap_minutes") * 60 }}
                then seconds_since_previous
            else 0
        end
    ) as active_seconds,
    {{ distinct_texts("object_category") }} as distinct_categories
from events_with_session_starts
group by activity_date, anonymous_id, login_user_id
