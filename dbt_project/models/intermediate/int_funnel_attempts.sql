{%- set last_step = funnel_steps_built() -%}

with

-- Users repeat themselves, and most repetitions decide nothing. Among events that fulfil one and the same step only,
-- with nothing else in between: of first steps of one entry the last starts the best chain (its window ends latest),
-- of later steps the first is the one to take.
events_in_order as (

    select
        events.*,
        entries.entered_at is not null as is_entry,
        row_number() over in_order as event_position,
        lag(events.only_step) over in_order as previous_only_step,
        lead(events.only_step) over in_order as next_only_step,
        lead(entries.entered_at) over in_order as next_entered_at,
        max(entries.entered_at) over in_order as entered_at,
        max(entries.entry_number) over in_order as entry_number
    from {{ ref("int_funnel_events") }} as events
    left join {{ ref("int_funnel_entries") }} as entries
        on
            events.funnel_id = entries.funnel_id
            and events.user_id = entries.user_id
            and events.event_time = entries.entered_at
            and events.is_step_1 = 1
    window in_order as (
        partition by events.funnel_id, events.user_id
        order by events.event_time, events.first_matching_step, events.event_id
        rows between unbounded preceding and current row
    )

),

deciding_events as (

    select
        funnel_id,
        user_id,
        event_time,
        event_position,
        entered_at,
        entry_number,
        {% for step in range(1, last_step + 1) %}
        is_step_{{ step }},
        {% endfor %}
        window_seconds
    from events_in_order
    where
        only_step = 0
        or (only_step = 1 and (next_only_step is null or next_only_step <> 1 or next_entered_at is not null))
        or (only_step > 1 and (previous_only_step is null or previous_only_step <> only_step))

),

-- Taking the earliest following event at every step is the best one can do, so one pass from the last step to the
-- first finds all best chains: when step k + 1 follows an event, the rest of the chain is that step's own chain.
{%- set ns = namespace(previous="deciding_events") %}
{% for step in range(last_step - 1, 0, -1) %}

chains_from_step_{{ step }} as (

    select
        funnel_id,
        user_id,
        event_time,
        event_position,
        entered_at,
        entry_number,
        {% for earlier in range(1, step + 1) %}
        is_step_{{ earlier }},
        {% endfor %}
        {% for later in range(step + 1, last_step + 1) %}
        {% set reached_at = "event_time" if later == step + 1 else "step_" ~ later ~ "_at" %}
        min(case when is_step_{{ step + 1 }} = 1 then {{ reached_at }} end) over following_events as step_{{ later }}_at,
        {% endfor %}
        window_seconds
    from {{ ns.previous }}
    window following_events as (
        partition by funnel_id, user_id
        order by event_position desc
        rows between unbounded preceding and 1 preceding
    )

),

{%- set ns.previous = "chains_from_step_" ~ step %}
{% endfor %}

attempts as (

    select
        chains.*,
        {{ add_seconds("event_time", "window_seconds") }} as window_ends_at
    from {{ ns.previous }} as chains
    where is_step_1 = 1

)

select
    funnel_id,
    user_id,
    entry_number,
    entered_at,
    event_position,
    window_ends_at,
    event_time as step_1_at,
    {% for step in range(2, last_step + 1) %}
    case when step_{{ step }}_at <= window_ends_at then step_{{ step }}_at end as step_{{ step }}_at,
    {% endfor %}
    {% for step in range(2, last_step + 1) %}
    case when step_{{ step }}_at <= window_ends_at then 1 else 0 end +
    {% endfor %}
    1 as max_step
from attempts
