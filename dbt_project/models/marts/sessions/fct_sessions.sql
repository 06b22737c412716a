{{
    config(
        materialized="incremental",
        incremental_strategy="touched_dates",
        on_schema_change="append_new_columns",
        meta={"business_date": "session_date", "follows": ["int_events"]},
        pre_hook="{{ log_rebuilt_dates() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}

with

events as (

    select *
    from {{ ref("int_events") }}
    where {{ in_touched_dates("event_date") }}

),

events_in_order as (

    select
        events.*,
        row_number() over user_day as event_number,
        lag(event_time) over session_candidates as previous_event_time
    from events
    window
        user_day as (
            partition by user_id, event_date
            order by event_time, event_id
        ),
        session_candidates as (
            partition by user_id, event_date, source_session_id
            order by event_time, event_id
        )

),

-- the export's own session id decides; events without one start a session after a silence
events_with_gaps as (

    select
        events_in_order.*,
        case
            when source_session_id is not null then 0
            when previous_event_time is null then 1
            when event_time > {{ add_seconds("previous_event_time", var("session_gap_minutes") ~ " * 60") }} then 1
            else 0
        end as starts_session
    from events_in_order

),

events_in_sessions as (

    select
        events_with_gaps.*,
        sum(starts_session) over (
            partition by user_id, event_date, source_session_id
            order by event_number
            rows between unbounded preceding and current row
        ) as gap_number
    from events_with_gaps

),

sessions as (

    select
        user_id,
        event_date as session_date,
        source_session_id,
        gap_number,
        min(event_time) as started_at,
        max(event_time) as ended_at,
        count(*) as events,
        sum(case when is_page_view then 1 else 0 end) as page_views,
        max(case when is_logged_in then 1 else 0 end) as logged_in,
        max(case when event_category = 'purchase' then 1 else 0 end) as purchases,
        {{ first_value_by("channel", "event_number") }} as channel,
        {{ first_value_by("device", "event_number") }} as device,
        {{ first_value_by("page", "event_number") }} as entry_page,
        {{ last_value_by("page", "event_number") }} as exit_page
    from events_in_sessions
    group by user_id, event_date, source_session_id, gap_number

)

select
    {{ hash_key(["session_date", "user_id", "source_session_id", "gap_number"]) }} as session_key,
    user_id,
    session_date,
    source_session_id,
    started_at,
    ended_at,
    cast({{ seconds_between("started_at", "ended_at") }} as bigint) as duration_seconds,
    cast(events as bigint) as events,
    cast(page_views as bigint) as page_views,
    events = 1 as is_bounce,
    logged_in = 1 as is_logged_in,
    channel,
    device,
    entry_page,
    exit_page,
    purchases = 1 as has_purchase
from sessions
