{{
    config(
        materialized="incremental",
        incremental_strategy="touched_users",
        on_schema_change="append_new_columns",
        meta={
            "user_column": "user_id",
            "follows": ["int_funnel_events"],
            "settings": ["funnels_fingerprint", "funnel_max_steps"],
        },
        pre_hook="{{ log_rebuilt_users() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}
{%- set last_step = funnel_steps_built() -%}
{%- set step_times, reached_numbers = [], [] -%}
{%- for step in range(1, last_step + 1) -%}
{%- do step_times.append("step_" ~ step ~ "_at") -%}
{%- do reached_numbers.append("case when step_" ~ step ~ "_at <= ends_at then '," ~ step ~ "' else '' end") -%}
{%- endfor -%}

with

-- only what tells the order of events: the columns travel through a sort of all of them
events as (

    select
        event_names.funnel_number,
        event_names.window_seconds,
        event_names.event_rank,
        event_names.only_step,
        event_names.is_start,
        events.user_id,
        events.event_date,
        events.event_time,
        events.channel,
        events.device
    from {{ ref("int_funnel_events") }} as events
    inner join {{ ref("int_funnel_event_names") }} as event_names
        on events.event_name = event_names.event_name
    where {{ in_touched_users("events.user_id") }}

),

-- an entry is a start outside the window of the entry before
start_lists as (

    select
        funnel_number,
        user_id,
        window_seconds,
        {{ ordered_times("event_time") }} as start_times
    from events
    where is_start = 1
    group by funnel_number, user_id, window_seconds

),

entry_lists as (

    select
        funnel_number,
        user_id,
        {{ window_starts("start_times", "window_seconds") }} as entry_times
    from start_lists

),

entries as (

    select
        funnel_number,
        user_id,
        {{ unnest_numbered("entry_times", "entered_at", "entry_number") }}
    from entry_lists

),

events_in_order as (

    select
        events.*,
        entries.entry_number,
        entries.entered_at as own_entered_at,
        row_number() over in_order as event_position,
        lag(events.only_step) over in_order as previous_only_step,
        lead(events.only_step) over in_order as next_only_step,
        lead(events.event_time) over in_order as next_event_time,
        lead(entries.entered_at) over in_order as next_entered_at,
        max(entries.entered_at) over (
            partition by events.funnel_number, events.user_id
            order by events.event_time, events.event_rank, events.channel, events.device
            rows between unbounded preceding and 1 preceding
        ) as previous_entered_at
    from events
    left join entries
        on
            events.funnel_number = entries.funnel_number
            and events.user_id = entries.user_id
            and events.event_time = entries.entered_at
            and events.is_start = 1
    window in_order as (
        partition by events.funnel_number, events.user_id
        order by events.event_time, events.event_rank, events.channel, events.device
    )

),

-- Users repeat themselves, and most repetitions decide nothing. Among events that fulfil one and the same step only,
-- with nothing else in between: of starts in one entry the last begins the best chain (its window ends latest), of
-- later steps the first is the one to take. A start that nothing follows within its window gets no further.
events_with_part as (

    select
        events_in_order.*,
        {{ add_seconds("event_time", "window_seconds") }} as window_ends_at,
        coalesce(own_entered_at, previous_entered_at) as entered_at,
        own_entered_at is not null
        and (previous_entered_at is null or own_entered_at <> previous_entered_at) as opens_entry,
        only_step = 0
        or next_only_step <> only_step
        or next_entered_at is not null as ends_run,
        only_step = 0
        or previous_only_step is null
        or previous_only_step <> only_step as begins_run
    from events_in_order

),

deciding_events as (

    select
        event_names.funnel_id,
        event_names.step_order,
        event_names.first_step,
        {% for step in range(1, last_step + 1) %}
        event_names.is_step_{{ step }},
        {% endfor %}
        {% for step in range(1, last_step) %}
        event_names.ends_after_{{ step }},
        {% endfor %}
        event_names.is_excluded,
        events.*,
        events.is_start = 1
        and events.ends_run
        and events.next_event_time <= events.window_ends_at as starts_attempt,
        events.begins_run
        and (events.only_step <> 1 or event_names.step_order = 'any') as continues_attempt
    from events_with_part as events
    inner join {{ ref("int_funnel_event_names") }} as event_names
        on
            events.funnel_number = event_names.funnel_number
            and events.event_rank = event_names.event_rank

),

attempt_events as (

    select *
    from deciding_events
    where
        starts_attempt
        or continues_attempt

),

ordered_events as (

    select *
    from attempt_events
    where step_order <> 'any'

),

-- Taking the first following event of every step is the best an attempt can do, so one pass from the last step to the
-- first finds all chains: when step k + 1 is the next to come after an event, the rest of its chain is that step's own.
-- When an event that ends the attempt there comes first, there is no rest.
{%- set ns = namespace(previous="ordered_events") %}
{% for step in range(last_step - 1, 0, -1) %}

chains_from_step_{{ step }} as (

    select
        funnel_number,
        user_id,
        entered_at,
        event_time,
        event_position,
        window_ends_at,
        starts_attempt,
        {% for earlier in range(1, step + 1) %}
        is_step_{{ earlier }},
        {% endfor %}
        {% for earlier in range(1, step) %}
        ends_after_{{ earlier }},
        {% endfor %}
        {{ first_known_value(
            "case when is_step_" ~ (step + 1) ~ " = 1 then "
            ~ time_before_times("event_time", no_times() if loop.first else "later_times")
            ~ " when ends_after_" ~ step ~ " = 1 then " ~ no_times() ~ " end"
        ) }} over following_events as later_times
    from {{ ns.previous }}
    where
        is_step_{{ range(1, step + 2) | join(" + is_step_") }}
        + ends_after_{{ range(1, step + 1) | join(" + ends_after_") }} > 0
    window following_events as (
        partition by funnel_number, user_id
        order by event_position
        rows between 1 following and unbounded following
    )

),

{%- set ns.previous = "chains_from_step_" ~ step %}
{% endfor %}

ordered_attempts as (

    select
        funnel_number,
        user_id,
        entered_at,
        event_position,
        {{ times_until(time_before_times("event_time", "later_times"), "window_ends_at") }} as step_times,
        cast(null as {{ dbt.type_string() }}) as steps_reached
    from {{ ns.previous }}
    where starts_attempt

),

-- where order does not count, an attempt takes of each step the first event from its start on
next_of_every_step as (

    select
        funnel_number,
        user_id,
        entered_at,
        event_time,
        event_position,
        window_ends_at,
        starts_attempt,
        {% for step in range(1, last_step + 1) %}
        min(case when is_step_{{ step }} = 1 then event_time end) over from_here_on as step_{{ step }}_at,
        {% endfor %}
        min(case when is_excluded = 1 then event_time end) over from_here_on as excluded_at
    from attempt_events
    where step_order = 'any'
    window from_here_on as (
        partition by funnel_number, user_id
        order by event_position
        rows between current row and unbounded following
    )

),

any_order_limits as (

    select
        next_of_every_step.*,
        least(window_ends_at, coalesce(excluded_at, window_ends_at)) as ends_at
    from next_of_every_step
    where starts_attempt

),

any_order_attempts as (

    select
        funnel_number,
        user_id,
        entered_at,
        event_position,
        {{ times_until(list_of(step_times), "ends_at") }} as step_times,
        substring({{ dbt.concat(reached_numbers) }}, 2) as steps_reached
    from any_order_limits

),

attempts as (

    select * from ordered_attempts
    union all
    select * from any_order_attempts

),

best_attempts as (

    select
        funnel_number,
        user_id,
        entered_at,
        step_times,
        {{ list_size("step_times") }} as max_step,
        steps_reached,
        row_number() over (
            partition by funnel_number, user_id, entered_at
            order by {{ list_size("step_times") }} desc, event_position desc
        ) as attempt_rank
    from attempts
    where {{ list_size("step_times") }} > 1

)

select
    entries.funnel_id,
    entries.user_id,
    cast(entries.entry_number as integer) as entry_number,
    entries.step_order,
    entries.entered_at,
    entries.event_date as cohort_date,
    entries.channel,
    entries.device,
    coalesce({{ list_element("attempts.step_times", 1) }}, entries.entered_at) as step_1_at,
    {% for step in range(2, funnel_step_columns() + 1) %}
    {{ list_element("attempts.step_times", step) if step <= last_step else "cast(null as timestamp)" }}
        as step_{{ step }}_at,
    {% endfor %}
    cast(coalesce(attempts.max_step, 1) as integer) as max_step,
    case
        when attempts.steps_reached is not null then attempts.steps_reached
        when attempts.max_step is null then cast(entries.first_step as {{ dbt.type_string() }})
        {% for step in range(2, last_step + 1) %}
        when attempts.max_step = {{ step }} then '{{ range(1, step + 1) | join(",") }}'
        {% endfor %}
    end as steps_reached
from deciding_events as entries
left join best_attempts as attempts
    on
        entries.funnel_number = attempts.funnel_number
        and entries.user_id = attempts.user_id
        and entries.entered_at = attempts.entered_at
        and attempts.attempt_rank = 1
where entries.opens_entry
