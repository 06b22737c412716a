{{
    config(
        materialized="incremental",
        incremental_strategy="touched_dates",
        on_schema_change="append_new_columns",
        meta={
            "business_date": "session_date",
            "user_column": "user_id",
            "follows": ["int_events"],
            "rebuilds_user_days": true,
        },
        pre_hook="{{ log_rebuilt_dates() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}
{%- set gap_seconds = var("session_gap_minutes") ~ " * 60" %}

with

events as {{ not_materialized() if touched_dates() is none }} (

    select *
    from {{ ref("int_events") }}
    where {{ in_touched_user_days("event_date", "user_id") }}

),

-- the exported session id decides; among events without one, a silence longer than the gap starts a new session
days_with_silence as (

    select
        user_id,
        event_date
    from events
    where source_session_id is null
    group by user_id, event_date
    having max(event_time) > {{ add_seconds("min(event_time)", gap_seconds) }}

),

events_around_silence as (

    select
        events.user_id,
        events.event_date,
        events.event_time,
        lag(events.event_time) over (
            partition by events.user_id, events.event_date
            order by events.event_time
        ) as previous_event_time
    from events
    inner join days_with_silence
        on
            events.user_id = days_with_silence.user_id
            and events.event_date = days_with_silence.event_date
    where events.source_session_id is null

),

session_starts as (

    select
        user_id,
        event_date,
        event_time as starts_at,
        row_number() over in_order as gap_number,
        lead(event_time) over in_order as next_starts_at
    from events_around_silence
    where
        previous_event_time is null
        or event_time > {{ add_seconds("previous_event_time", gap_seconds) }}
    window in_order as (
        partition by user_id, event_date
        order by event_time
    )

),

-- events without an exported id on a day without such a silence are one session
events_in_sessions as (

    select
        events.*,
        case
            when events.source_session_id is not null then 0
            else coalesce(session_starts.gap_number, 1)
        end as gap_number,
        {{ ordered_by(["events.event_time", "events.event_id"]) }} as event_order
    from events
    left join session_starts
        on
            events.user_id = session_starts.user_id
            and events.event_date = session_starts.event_date
            and events.event_time >= session_starts.starts_at
            and (events.event_time < session_starts.next_starts_at or session_starts.next_starts_at is null)
            and events.source_session_id is null

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
        {{ first_value_by("channel", "event_order") }} as channel,
        {{ first_value_by("device", "event_order") }} as device,
        {{ first_value_by("page", "event_order") }} as entry_page,
        {{ last_value_by("page", "event_order") }} as exit_page
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
