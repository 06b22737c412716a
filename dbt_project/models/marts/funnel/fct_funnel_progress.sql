{%- set last_step = funnel_steps_built() -%}

with

attempts_by_success as (

    select
        attempts.*,
        row_number() over (
            partition by funnel_id, user_id, entry_number
            order by max_step desc, event_position desc
        ) as attempt_rank
    from {{ ref("int_funnel_attempts") }} as attempts

)

select
    entries.funnel_id,
    entries.user_id,
    cast(entries.entry_number as integer) as entry_number,
    entries.entered_at,
    entries.cohort_date,
    entries.channel,
    attempts.step_1_at,
    {% for step in range(2, funnel_step_columns() + 1) %}
    {{ "attempts.step_" ~ step ~ "_at" if step <= last_step else "cast(null as timestamp) as step_" ~ step ~ "_at" }},
    {% endfor %}
    cast(attempts.max_step as integer) as max_step
from {{ ref("int_funnel_entries") }} as entries
inner join attempts_by_success as attempts
    on
        entries.funnel_id = attempts.funnel_id
        and entries.user_id = attempts.user_id
        and entries.entry_number = attempts.entry_number
        and attempts.attempt_rank = 1
