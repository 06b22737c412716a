{%- set settings = var("activation") -%}
{%- set last_cohort_date = add_days(as_of(), "-" ~ settings.retained_to_day) -%}
{%- set first_cohort_date = add_days(
    as_of(), "1 - " ~ settings.retained_to_day ~ " - " ~ settings.cohort_days
) -%}

with

-- new users whose early days and days for coming back are both over
newcomers as (

    select
        user_id,
        first_active_date
    from {{ ref("dim_users") }}
    where first_active_date between {{ first_cohort_date }} and {{ last_cohort_date }}

),

days_of_newcomers as (

    select
        newcomers.user_id,
        {{ days_between("newcomers.first_active_date", "days.activity_date") }} as day_number,
        days.orders
    from newcomers
    inner join {{ ref("fct_user_days") }} as days
        on newcomers.user_id = days.user_id
    where
        days.activity_date >= {{ first_cohort_date }}
        and {{ up_to_as_of("days.activity_date") }}

),

outcomes as (

    select
        user_id,
        max(
            case
                when day_number between {{ settings.retained_from_day }} and {{ settings.retained_to_day }} then 1
                else 0
            end
        ) as is_retained
    from days_of_newcomers
    group by user_id

),

-- early days only: the settings keep them apart from the days for coming back (window_days <= retained_from_day)
behaviours as (

    select
        'event' as behaviour_kind,
        events.event_name as behaviour,
        newcomers.user_id,
        count(*) as times
    from newcomers
    inner join {{ ref("int_events") }} as events
        on newcomers.user_id = events.user_id
    where
        events.event_date >= {{ first_cohort_date }}
        and events.event_date <= {{ add_days(last_cohort_date, settings.window_days ~ " - 1") }}
        and events.event_date >= newcomers.first_active_date
        and events.event_date < {{ add_days("newcomers.first_active_date", settings.window_days) }}
    group by events.event_name, newcomers.user_id

    union all

    select
        'order' as behaviour_kind,
        'purchase' as behaviour,
        user_id,
        sum(orders) as times
    from days_of_newcomers
    where day_number < {{ settings.window_days }}
    group by user_id

    union all

    select
        'active_day' as behaviour_kind,
        'active day' as behaviour,
        user_id,
        count(*) as times
    from days_of_newcomers
    where day_number < {{ settings.window_days }}
    group by user_id

),

candidates as (

    {% for times in settings.min_times %}
    select
        behaviours.behaviour_kind,
        behaviours.behaviour,
        {{ times }} as min_times,
        count(*) as users_with,
        sum(outcomes.is_retained) as retained_with
    from behaviours
    inner join outcomes
        on behaviours.user_id = outcomes.user_id
    where behaviours.times >= {{ times }}
    group by behaviours.behaviour_kind, behaviours.behaviour
    {{ "union all" if not loop.last }}
    {% endfor %}

),

everybody as (

    select
        count(*) as new_users,
        sum(is_retained) as retained_users
    from outcomes

),

-- with few users on either side the shares mean little
compared as (

    select
        candidates.*,
        everybody.new_users,
        everybody.new_users - candidates.users_with as users_without,
        everybody.retained_users - candidates.retained_with as retained_without
    from candidates
    cross join everybody
    where
        candidates.users_with >= {{ settings.min_users }}
        and everybody.new_users - candidates.users_with >= {{ settings.min_users }}

),

shares as (

    select
        compared.*,
        {% for side in ["with", "without"] -%}
        {{ share("retained_" ~ side, "users_" ~ side) }} as retention_{{ side }},
        {{ wilson_bound("retained_" ~ side, "users_" ~ side, settings.interval_z, "-") }} as retention_{{ side }}_low,
        {{ wilson_bound("retained_" ~ side, "users_" ~ side, settings.interval_z, "+") }} as retention_{{ side }}_high,
        {% endfor -%}
        {{ share("users_with", "new_users") }} as reach
    from compared

),

scored as (

    select
        shares.*,
        {{ share("retention_with", "retention_without") }} as lift,
        retention_with - retention_without as risk_difference,
        {{ newcombe_bound(
            "retention_with", "retention_without", "retention_with_low", "retention_without_high", "-"
        ) }} as risk_difference_low,
        {{ newcombe_bound(
            "retention_with", "retention_without", "retention_with_high", "retention_without_low", "+"
        ) }} as risk_difference_high,
        ({{ share("retention_with", "retention_without") }} - 1) * reach as score
    from shares

)

select
    behaviour_kind,
    behaviour,
    cast(min_times as integer) as min_times,
    cast(
        row_number() over (
            order by
                case when retention_without = 0 and retention_with > 0 then 0 else 1 end,
                score desc nulls last,
                risk_difference * reach desc,
                behaviour_kind,
                behaviour,
                min_times
        ) as integer
    ) as candidate_rank,
    cast(new_users as bigint) as new_users,
    cast(users_with as bigint) as users_with,
    reach,
    cast(retained_with as bigint) as retained_with,
    retention_with,
    retention_with_low,
    retention_with_high,
    cast(users_without as bigint) as users_without,
    cast(retained_without as bigint) as retained_without,
    retention_without,
    retention_without_low,
    retention_without_high,
    lift,
    risk_difference,
    risk_difference_low,
    risk_difference_high,
    score
from scored
