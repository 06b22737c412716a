with

changes as (

    select
        valid_from as stage_date,
        stage,
        1 as entered,
        0 as left_stage
    from {{ ref("fct_lifecycle_stages") }}

    union all

    select
        valid_to as stage_date,
        stage,
        0 as entered,
        1 as left_stage
    from {{ ref("fct_lifecycle_stages") }}
    where valid_to is not null

),

changes_per_day as (

    select
        stage_date,
        stage,
        sum(entered) as entered,
        sum(left_stage) as left_stage
    from changes
    group by stage_date, stage

),

bounds as (

    select min(stage_date) as first_date
    from changes_per_day

),

days as (

    {{ date_spine("first_date", as_of(), "bounds") }}

),

-- of who was active before the first active day of anybody, nothing has come
known_activity as (

    select min(first_active_date) as known_from
    from {{ ref("dim_users") }}

),

stages as (

    {% for stage in lifecycle_stages() %}
    select '{{ stage }}' as stage
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select
    days.calendar_date as stage_date,
    stages.stage,
    {{ stage_zh("stages.stage") }} as stage_zh,
    cast(
        sum(coalesce(changes_per_day.entered, 0) - coalesce(changes_per_day.left_stage, 0)) over (
            partition by stages.stage
            order by days.calendar_date
            rows between unbounded preceding and current row
        ) as bigint
    ) as users,
    cast(coalesce(changes_per_day.entered, 0) as bigint) as entered,
    cast(coalesce(changes_per_day.left_stage, 0) as bigint) as left_stage,
    coalesce(
        days.calendar_date >= (
            select {{ add_days("known_activity.known_from", var("lifecycle").churned_after_days ~ " - 1") }}
            from known_activity
        ),
        false
    ) as is_observed
from days
cross join stages
left join changes_per_day
    on
        days.calendar_date = changes_per_day.stage_date
        and stages.stage = changes_per_day.stage
