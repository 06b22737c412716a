{%- set last_step = funnel_steps_built() -%}

with

steps_by_event_name as (

    select
        funnel_id,
        event_name,
        max(window_seconds) as window_seconds,
        min(step_number) as first_matching_step,
        {% for step in range(1, last_step + 1) %}
        max(case when step_number = {{ step }} then 1 else 0 end) as is_step_{{ step }},
        {% endfor %}
        count(distinct step_number) as matching_steps
    from {{ ref("stg_funnel_steps") }}
    group by funnel_id, event_name

)

select
    steps.funnel_id,
    events.user_id,
    events.event_time,
    events.event_id,
    events.event_date,
    events.channel,
    steps.window_seconds,
    steps.first_matching_step,
    {% for step in range(1, last_step + 1) %}
    steps.is_step_{{ step }},
    {% endfor %}
    case when steps.matching_steps = 1 then steps.first_matching_step else 0 end as only_step
from {{ ref("int_events") }} as events
inner join steps_by_event_name as steps
    on events.event_name = steps.event_name
