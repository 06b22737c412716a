-- who enters a stage on a date, and who leaves it, is the same number in the matrix and per day
with

moves as (

    select
        transition_date,
        to_stage as stage,
        users as entered,
        0 as left_stage
    from {{ ref("agg_lifecycle_transitions") }}

    union all

    select
        transition_date,
        from_stage as stage,
        0 as entered,
        users as left_stage
    from {{ ref("agg_lifecycle_transitions") }}
    where from_stage <> 'none'

),

moves_per_day as (

    select
        transition_date,
        stage,
        sum(entered) as entered,
        sum(left_stage) as left_stage
    from moves
    group by transition_date, stage

)

select
    daily.stage_date,
    daily.stage,
    daily.entered,
    daily.left_stage,
    moves_per_day.entered as entered_by_transitions,
    moves_per_day.left_stage as left_by_transitions
from {{ ref("agg_lifecycle_daily") }} as daily
full outer join moves_per_day
    on daily.stage_date = moves_per_day.transition_date and daily.stage = moves_per_day.stage
where
    coalesce(daily.entered, -1) <> coalesce(moves_per_day.entered, 0)
    or coalesce(daily.left_stage, -1) <> coalesce(moves_per_day.left_stage, 0)
