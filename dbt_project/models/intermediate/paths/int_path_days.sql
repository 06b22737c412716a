{%- set settings = var("user_paths") -%}
{{
    config(
        materialized="incremental",
        incremental_strategy="touched_dates",
        on_schema_change="append_new_columns",
        meta={
            "business_date": "session_date",
            "follows": ["int_events", "fct_sessions"],
            "stale_dates": "path_dates_not_stored",
            "settings": ["user_paths"],
        },
        pre_hook="{{ log_rebuilt_dates() }}",
        post_hook=["{{ delete_paths_before_window() }}", "{{ save_watermarks() }}"],
    )
}}

with

steps as (

    select
        user_id,
        event_date,
        event_time,
        event_id,
        source_session_id,
        {{ settings.step if settings.step == "page" else "event_name" }} as step
    from {{ ref("int_events") }}
    where
        {{ in_touched_dates("event_date") }}
        and event_date >= {{ first_path_date() }}
        and {{ "is_page_view and page is not null" if settings.step == "page" else "event_name is not null" }}

),

sessions as (

    select
        session_key,
        user_id,
        session_date,
        source_session_id,
        started_at,
        ended_at
    from {{ ref("fct_sessions") }}
    where
        {{ in_touched_dates("session_date") }}
        and session_date >= {{ first_path_date() }}

),

-- An event belongs to the session with its exported id. Sessions without one do not overlap, so there the time decides.
steps_in_sessions as (

    select
        sessions.session_key,
        sessions.session_date,
        steps.step,
        steps.event_time,
        steps.event_id,
        lag(steps.step) over (
            partition by sessions.session_key
            order by steps.event_time, steps.event_id
        ) as previous_step
    from steps
    inner join sessions
        on
            steps.user_id = sessions.user_id
            and steps.event_date = sessions.session_date
            and steps.event_time between sessions.started_at and sessions.ended_at
            and (
                steps.source_session_id = sessions.source_session_id
                or (steps.source_session_id is null and sessions.source_session_id is null)
            )

),

-- a page reloaded five times is one step
steps_without_repeats as (

    select
        session_date,
        step,
        row_number() over in_order as position,
        lead(step) over in_order as next_step
    from steps_in_sessions
    where
        previous_step is null
        or previous_step <> step
    window in_order as (
        partition by session_key
        order by event_time, event_id
    )

)

select
    session_date,
    cast(position as integer) as position,
    step as from_step,
    case
        when next_step is null then '(end)'
        when position = {{ settings.max_steps }} then '(more)'
        else next_step
    end as to_step,
    cast(count(*) as bigint) as sessions
from steps_without_repeats
where position <= {{ settings.max_steps }}
group by
    session_date,
    position,
    step,
    case
        when next_step is null then '(end)'
        when position = {{ settings.max_steps }} then '(more)'
        else next_step
    end
