with

steps as (

    select distinct
        funnel_id,
        step_number,
        step_name
    from {{ ref("stg_funnel_steps") }}

),

progress as (

    select
        funnel_id,
        cohort_date,
        'all' as segment_type,
        'all' as segment_value,
        max_step
    from {{ ref("fct_funnel_progress") }}

    union all

    select
        funnel_id,
        cohort_date,
        'channel' as segment_type,
        coalesce(channel, 'unknown') as segment_value,
        max_step
    from {{ ref("fct_funnel_progress") }}

),

reached_per_step as (

    select
        progress.funnel_id,
        progress.cohort_date,
        progress.segment_type,
        progress.segment_value,
        steps.step_number,
        steps.step_name,
        count(*) as entered,
        sum(case when progress.max_step >= steps.step_number then 1 else 0 end) as reached
    from progress
    inner join steps
        on progress.funnel_id = steps.funnel_id
    group by
        progress.funnel_id,
        progress.cohort_date,
        progress.segment_type,
        progress.segment_value,
        steps.step_number,
        steps.step_name

)

select
    funnel_id,
    cohort_date,
    segment_type,
    segment_value,
    cast(step_number as integer) as step_number,
    step_name,
    cast(entered as bigint) as entered,
    cast(reached as bigint) as reached,
    {{ share("reached", "coalesce(lag(reached) over by_step, entered)") }} as step_conversion,
    {{ share("reached", "entered") }} as overall_conversion
from reached_per_step
window by_step as (
    partition by funnel_id, cohort_date, segment_type, segment_value
    order by step_number
)
