with

first_steps as (

    select
        funnel_id,
        user_id,
        event_time,
        event_id,
        event_date,
        channel,
        window_seconds
    from {{ ref("int_funnel_events") }}
    where is_step_1 = 1

),

times_per_user as (

    select
        funnel_id,
        user_id,
        window_seconds,
        {{ ordered_times("event_time") }} as first_step_times
    from first_steps
    group by funnel_id, user_id, window_seconds

),

entry_times as (

    select
        funnel_id,
        user_id,
        {{ unnest_list(window_starts("first_step_times", "window_seconds")) }} as entered_at
    from times_per_user

),

entering_events as (

    select
        entry_times.funnel_id,
        entry_times.user_id,
        entry_times.entered_at,
        first_steps.event_date,
        first_steps.channel,
        row_number() over (
            partition by entry_times.funnel_id, entry_times.user_id, entry_times.entered_at
            order by first_steps.event_id
        ) as tie_number
    from entry_times
    inner join first_steps
        on
            entry_times.funnel_id = first_steps.funnel_id
            and entry_times.user_id = first_steps.user_id
            and entry_times.entered_at = first_steps.event_time

)

select
    funnel_id,
    user_id,
    row_number() over (partition by funnel_id, user_id order by entered_at) as entry_number,
    entered_at,
    event_date as cohort_date,
    channel
from entering_events
where tie_number = 1
