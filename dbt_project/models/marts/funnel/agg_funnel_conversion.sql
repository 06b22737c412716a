{%- set last_step = funnel_steps_built() -%}
{%- set segment_key = ["funnel_id", "cohort_date", "segment_type", "segment_value"] | join(", ") -%}

with

funnels as (

    select
        funnel_id,
        max(window_seconds) as window_seconds,
        max(step_number) as steps
    from {{ ref("stg_funnel_steps") }}
    group by funnel_id

),

steps as (

    select distinct
        steps.funnel_id,
        steps.step_number,
        steps.step_name,
        funnels.steps,
        funnels.window_seconds
    from {{ ref("stg_funnel_steps") }} as steps
    inner join funnels
        on steps.funnel_id = funnels.funnel_id

),

progress as (

    select
        progress.funnel_id,
        progress.cohort_date,
        'all' as segment_type,
        'all' as segment_value,
        progress.step_order,
        {% for step in range(1, last_step + 1) %}
        progress.step_{{ step }}_at,
        {% endfor %}
        progress.max_step
    from {{ ref("fct_funnel_progress") }} as progress

    {% for segment in ["channel", "device", "acquisition_channel", "region", "gender"] %}
    {% set owner = "progress" if segment in ["channel", "device"] else "users" %}
    union all

    select
        progress.funnel_id,
        progress.cohort_date,
        segments.segment_type,
        coalesce({{ owner }}.{{ segment }}, 'unknown') as segment_value,
        progress.step_order,
        {% for step in range(1, last_step + 1) %}
        progress.step_{{ step }}_at,
        {% endfor %}
        progress.max_step
    from {{ ref("fct_funnel_progress") }} as progress
    inner join {{ ref("stg_funnel_segments") }} as segments
        on
            progress.funnel_id = segments.funnel_id
            and segments.segment_type = '{{ segment }}'
    {% if owner == "users" %}
    left join {{ ref("dim_users") }} as users
        on progress.user_id = users.user_id
    {% endif %}
    {% endfor %}

),

counts as (

    select
        {{ segment_key }},
        max(step_order) as step_order,
        {% for step in range(2, last_step + 1) %}
        sum(case when max_step >= {{ step }} then 1 else 0 end) as reached_{{ step }},
        {% endfor %}
        count(*) as entered
    from progress
    group by {{ segment_key }}

),

seconds_taken as (

    {% for step in range(2, last_step + 1) %}
    select
        {{ segment_key }},
        {{ step }} as step_number,
        {{ seconds_between("step_" ~ (step - 1) ~ "_at", "step_" ~ step ~ "_at") }} as seconds_from_previous_step,
        {{ seconds_between("step_1_at", "step_" ~ step ~ "_at") }} as seconds_from_step_1
    from progress
    where max_step >= {{ step }}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

median_seconds as (

    select
        {{ segment_key }},
        step_number,
        {{ median_of("seconds_from_previous_step") }} as median_seconds_from_previous_step,
        {{ median_of("seconds_from_step_1") }} as median_seconds_from_step_1
    from seconds_taken
    group by {{ segment_key }}, step_number

),

reached_per_step as (

    select
        counts.funnel_id,
        counts.cohort_date,
        counts.segment_type,
        counts.segment_value,
        counts.step_order,
        steps.step_number,
        case
            when counts.step_order = 'any'
                then {{ dbt.concat(["steps.step_number", "' of '", "steps.steps"]) }}
            else steps.step_name
        end as step_name,
        counts.entered,
        case steps.step_number
            {% for step in range(2, last_step + 1) %}
            when {{ step }} then counts.reached_{{ step }}
            {% endfor %}
            else counts.entered
        end as reached,
        {{ add_days("counts.cohort_date", "ceil(2 * steps.window_seconds / 86400.0)") }} as complete_from
    from counts
    inner join steps
        on counts.funnel_id = steps.funnel_id

)

select
    reached.funnel_id,
    reached.cohort_date,
    reached.segment_type,
    reached.segment_value,
    cast(reached.step_number as integer) as step_number,
    reached.step_name,
    reached.step_order,
    cast(reached.entered as bigint) as entered,
    cast(reached.reached as bigint) as reached,
    {{ share("reached.reached", "coalesce(lag(reached.reached) over by_step, reached.entered)") }} as step_conversion,
    {{ share("reached.reached", "reached.entered") }} as overall_conversion,
    median_seconds.median_seconds_from_previous_step,
    median_seconds.median_seconds_from_step_1,
    reached.complete_from <= {{ as_of() }} as is_complete
from reached_per_step as reached
left join median_seconds
    on
        reached.funnel_id = median_seconds.funnel_id
        and reached.cohort_date = median_seconds.cohort_date
        and reached.segment_type = median_seconds.segment_type
        and reached.segment_value = median_seconds.segment_value
        and reached.step_number = median_seconds.step_number
window by_step as (
    partition by reached.funnel_id, reached.cohort_date, reached.segment_type, reached.segment_value
    order by reached.step_number
)
