{{ config(materialized="view") }}

with

dates as (

    select distinct as_of_date
    from {{ ref("fct_churn_scores") }}
    where {{ up_to_as_of("as_of_date") }}

    union

    select {{ as_of() }} as as_of_date

),

-- the usual gap of everybody, for users with too few active days to have one of their own
rhythms as (

    select
        dates.as_of_date,
        {{ days_between("rhythm.first_active_date", "rhythm.activity_date") }} as days_of_activity,
        rhythm.active_days_so_far - 1 as gaps
    from dates
    inner join {{ ref("int_user_rhythm") }} as rhythm
        on
            dates.as_of_date >= rhythm.activity_date
            and {{ add_days("dates.as_of_date", "-" ~ var("churn").active_window_days) }} < rhythm.activity_date
            and (rhythm.next_active_date is null or dates.as_of_date < rhythm.next_active_date)
    where rhythm.active_days_so_far >= 3

),

usual as (

    select
        as_of_date,
        {{ median_of("cast(round(" ~ share("days_of_activity", "gaps") ~ ") as integer)") }} as default_gap_days
    from rhythms
    group by as_of_date

)

select
    dates.as_of_date,
    usual.default_gap_days
from dates
left join usual
    on dates.as_of_date = usual.as_of_date
