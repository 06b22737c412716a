{{
    config(
        materialized="incremental",
        incremental_strategy="touched_dates",
        on_schema_change="append_new_columns",
        meta={
            "business_date": "cohort_date",
            "follows": ["fct_funnel_progress"],
            "stale_dates": "cohorts_to_recount",
            "settings": ["funnels_fingerprint", "funnel_max_steps"],
        },
        pre_hook="{{ log_rebuilt_dates() }}",
        post_hook=["{{ remember_funnel_users() }}", "{{ save_watermarks() }}"],
    )
}}
{%- set last_step = funnel_steps_built() -%}
{%- set segment_key = ["funnel_id", "cohort_date", "segment_type", "segment_value"] | join(", ") -%}
{%- set segments_by_owner = {
    "entry": ["everyone", "channel", "device"],
    "user": ["acquisition_channel", "region", "gender"],
} -%}
{#- (whose attribute it is, segment_type, column) of each segment -#}
{%- set segments = [] -%}
{%- for owner, owned in segments_by_owner.items() -%}
{%- for segment in owned -%}
{%- do segments.append((owner, "all" if segment == "everyone" else segment, segment)) -%}
{%- endfor -%}
{%- endfor -%}

-- read by cohorts_to_recount, which is only rendered when dbt runs
-- depends_on: {{ ref("int_funnel_event_names") }}

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

entries as {{ not_materialized() }} (

    select
        funnel_id,
        user_id,
        cohort_date,
        'all' as everyone,
        coalesce(channel, 'unknown') as channel,
        coalesce(device, 'unknown') as device,
        step_order,
        {% for step in range(1, last_step + 1) %}
        step_{{ step }}_at,
        {% endfor %}
        max_step
    from {{ ref("fct_funnel_progress") }}
    where {{ in_touched_dates("cohort_date") }}

),

users as (

    {{ segments_of_users() }}

),

entries_of_users as {{ not_materialized() }} (

    select
        entries.*,
        coalesce(users.acquisition_channel, 'unknown') as acquisition_channel,
        coalesce(users.region, 'unknown') as region,
        coalesce(users.gender, 'unknown') as gender
    from entries
    left join users
        on entries.user_id = users.user_id

),

-- Entries are counted twice: by their own attributes, and by those of the user. Every segment is a sum of such groups,
-- and there are far fewer of them than entries.
{% for owner, owned in segments_by_owner.items() %}
entries_by_{{ owner }} as (

    select
        funnel_id,
        cohort_date,
        {{ owned | join(", ") }},
        max_step,
        max(step_order) as step_order,
        count(*) as entries
    from {{ "entries_of_users" if owner == "user" else "entries" }}
    group by funnel_id, cohort_date, {{ owned | join(", ") }}, max_step

),

{% endfor %}
counts as (

    {% for owner, segment_type, segment in segments %}
    select
        funnel_id,
        cohort_date,
        '{{ segment_type }}' as segment_type,
        {{ segment }} as segment_value,
        max(step_order) as step_order,
        {% for step in range(2, last_step + 1) %}
        sum(case when max_step >= {{ step }} then entries else 0 end) as reached_{{ step }},
        {% endfor %}
        sum(entries) as entered
    from entries_by_{{ owner }}
    where {{ funnel_has_segment_type(segment_type) }}
    group by funnel_id, cohort_date, {{ segment }}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

-- of entries that got beyond their start
seconds_taken as {{ worked_out_once() }} (

    select
        funnel_id,
        cohort_date,
        {% for _, _, segment in segments %}
        {{ segment }},
        {% endfor %}
        {% for step in range(2, last_step + 1) %}
        {{ seconds_between("step_" ~ (step - 1) ~ "_at", "step_" ~ step ~ "_at") }} as from_previous_to_{{ step }},
        {{ seconds_between("step_1_at", "step_" ~ step ~ "_at") }} as from_1_to_{{ step }},
        {% endfor %}
        max_step
    from entries_of_users
    where max_step >= 2

),

medians as (

    {% for _, segment_type, segment in segments %}
    select
        funnel_id,
        cohort_date,
        '{{ segment_type }}' as segment_type,
        {{ segment }} as segment_value,
        {% for step in range(2, last_step + 1) %}
        {{ median_of("from_previous_to_" ~ step) }} as from_previous_to_{{ step }},
        {% endfor %}
        {% for step in range(3, last_step + 1) %}
        {{ median_of("from_1_to_" ~ step) }} as from_1_to_{{ step }},
        {% endfor %}
        max(max_step) as max_step
    from seconds_taken
    where {{ funnel_has_segment_type(segment_type) }}
    group by funnel_id, cohort_date, {{ segment }}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

median_seconds as (

    {% for step in range(2, last_step + 1) %}
    select
        {{ segment_key }},
        {{ step }} as step_number,
        from_previous_to_{{ step }} as median_seconds_from_previous_step,
        {{ "from_1" if step > 2 else "from_previous" }}_to_{{ step }} as median_seconds_from_step_1
    from medians
    where max_step >= {{ step }}
    {{ "union all" if not loop.last }}
    {% endfor %}

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
        {{ cohort_is_complete("counts.cohort_date", "steps.window_seconds") }} as is_complete
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
    cast(coalesce(lag(reached.reached) over by_step, reached.entered) as bigint) as reached_previous_step,
    {{ share("reached.reached", "coalesce(lag(reached.reached) over by_step, reached.entered)") }} as step_conversion,
    {{ share("reached.reached", "reached.entered") }} as overall_conversion,
    median_seconds.median_seconds_from_previous_step,
    median_seconds.median_seconds_from_step_1,
    reached.is_complete
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
