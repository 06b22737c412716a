{%- set last_step = funnel_steps_built() -%}

with

funnels as (

    select
        steps.funnel_id,
        coalesce(max(funnels.step_order), 'ordered') as step_order,
        max(steps.window_seconds) as window_seconds,
        max(steps.step_number) as steps
    from {{ ref("stg_funnel_steps") }} as steps
    left join {{ ref("stg_funnels") }} as funnels
        on steps.funnel_id = funnels.funnel_id
    group by steps.funnel_id

),

-- one row per step that an event fulfils, and per step after which it ends an attempt
roles as (

    select
        funnel_id,
        event_name,
        step_number,
        0 as after_step
    from {{ ref("stg_funnel_steps") }}

    union all

    select
        funnel_id,
        event_name,
        cast(null as integer) as step_number,
        after_step
    from {{ ref("stg_funnel_exclusions") }}

),

event_names as (

    select
        funnel_id,
        event_name,
        min(step_number) as first_step,
        count(distinct step_number) as matching_steps,
        {% for step in range(1, last_step + 1) %}
        max(case when step_number = {{ step }} then 1 else 0 end) as is_step_{{ step }},
        {% endfor %}
        {% for step in range(1, last_step) %}
        max(case when after_step = {{ step }} then 1 else 0 end) as is_excluded_after_{{ step }},
        {% endfor %}
        max(after_step) as last_after_step
    from roles
    group by funnel_id, event_name

)

select
    event_names.funnel_id,
    dense_rank() over (order by event_names.funnel_id) as funnel_number,
    event_names.event_name,
    funnels.step_order,
    funnels.window_seconds,
    row_number() over (
        partition by event_names.funnel_id
        order by coalesce(event_names.first_step, funnels.steps + 1), event_names.event_name
    ) as event_rank,
    coalesce(event_names.first_step, 0) as first_step,
    case when event_names.matching_steps = 1 then event_names.first_step else 0 end as only_step,
    case
        when funnels.step_order = 'any' and event_names.first_step is not null then 1
        else event_names.is_step_1
    end as is_start,
    {% for step in range(1, last_step + 1) %}
    event_names.is_step_{{ step }},
    {% endfor %}
    {% for step in range(1, last_step) %}
    case
        when event_names.is_excluded_after_{{ step }} = 1 then 1
        when funnels.step_order = 'strict' and event_names.first_step > {{ step + 1 }} then 1
        else 0
    end as ends_after_{{ step }},
    {% endfor %}
    case when event_names.first_step is null then 1 else 0 end as is_excluded
from event_names
inner join funnels
    on event_names.funnel_id = funnels.funnel_id
