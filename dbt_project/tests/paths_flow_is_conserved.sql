-- what flows into a step at a position flows out of it
with

inflow as (

    select
        position + 1 as position,
        to_step as step,
        sum(sessions) as sessions
    from {{ ref("agg_user_paths") }}
    where to_step not in ('(end)', '(more)')
    group by position, to_step

),

outflow as (

    select
        position,
        from_step as step,
        sum(sessions) as sessions
    from {{ ref("agg_user_paths") }}
    where position > 1
    group by position, from_step

)

select
    coalesce(inflow.position, outflow.position) as position,
    coalesce(inflow.step, outflow.step) as step,
    inflow.sessions as sessions_in,
    outflow.sessions as sessions_out
from inflow
full outer join outflow
    on
        inflow.position = outflow.position
        and inflow.step = outflow.step
where coalesce(inflow.sessions, 0) <> coalesce(outflow.sessions, 0)
