with

first_days as (

    select
        user_id,
        min(activity_date) as first_active_date
    from {{ ref("fct_user_days") }}
    group by user_id

),

user_days as (

    select
        user_days.user_id,
        user_days.activity_date,
        coalesce(user_days.primary_channel, 'unknown') as channel,
        user_days.activity_date = first_days.first_active_date as is_new,
        user_days.contributions > 0 as has_contributed,
        user_days.interactions > 0 as has_interacted
    from {{ ref("fct_user_days") }} as user_days
    inner join first_days
        on user_days.user_id = first_days.user_id

),

segment_days as (

    select
        'all' as segment_type,
        'all' as segment_value,
        user_days.*
    from user_days

    union all

    select
        'channel' as segment_type,
        channel as segment_value,
        user_days.*
    from user_days

),

daily as (

    select
        segment_type,
        segment_value,
        activity_date,
        count(*) as dau,
        sum(case when is_new then 1 else 0 end) as new_users,
        sum(case when has_contributed then 1 else 0 end) as contributing_users,
        sum(case when has_interacted then 1 else 0 end) as interacting_users
    from segment_days
    group by segment_type, segment_value, activity_date

),

-- A user counts for `n` days from each active day. Where the next active day comes sooner than that the user just
-- stays; so the change of the trailing distinct count on a day is the comers minus the leavers, in one pass.
neighbouring_days as (

    select
        segment_type,
        segment_value,
        activity_date,
        lag(activity_date) over in_order as previous_date,
        lead(activity_date) over in_order as next_date
    from segment_days
    window in_order as (
        partition by segment_type, segment_value, user_id
        order by activity_date
    )

),

trailing_changes as (

    {% for days, name in [(7, "wau"), (30, "mau")] %}
    select
        '{{ name }}' as measure,
        segment_type,
        segment_value,
        activity_date as change_date,
        1 as change
    from neighbouring_days
    where
        previous_date is null
        or {{ add_days("previous_date", days) }} < activity_date

    union all

    select
        '{{ name }}' as measure,
        segment_type,
        segment_value,
        {{ add_days("activity_date", days) }} as change_date,
        -1 as change
    from neighbouring_days
    where
        next_date is null
        or {{ add_days("activity_date", days) }} < next_date
    {{ "union all" if not loop.last }}
    {% endfor %}

),

trailing_changes_per_day as (

    select
        segment_type,
        segment_value,
        change_date,
        sum(case when measure = 'wau' then change else 0 end) as wau_change,
        sum(case when measure = 'mau' then change else 0 end) as mau_change
    from trailing_changes
    group by segment_type, segment_value, change_date

),

segment_sessions as (

    select
        'all' as segment_type,
        'all' as segment_value,
        session_date,
        is_bounce,
        duration_seconds
    from {{ ref("fct_sessions") }}

    union all

    select
        'channel' as segment_type,
        coalesce(channel, 'unknown') as segment_value,
        session_date,
        is_bounce,
        duration_seconds
    from {{ ref("fct_sessions") }}

),

daily_sessions as (

    select
        segment_type,
        segment_value,
        session_date,
        count(*) as sessions,
        sum(case when is_bounce then 1 else 0 end) as bounces,
        sum(duration_seconds) as dwell_seconds
    from segment_sessions
    group by segment_type, segment_value, session_date

),

segments as (

    select
        segment_type,
        segment_value,
        activity_date as segment_date
    from daily

    union

    select
        segment_type,
        segment_value,
        session_date as segment_date
    from daily_sessions

),

bounds as (

    select
        segment_type,
        segment_value,
        min(segment_date) as first_date
    from segments
    group by segment_type, segment_value

),

all_days as (

    {{ date_spine("first_date", as_of(), "(select min(first_date) as first_date from bounds) as earliest") }}

),

measures as (

    select
        all_days.calendar_date as activity_date,
        bounds.segment_type,
        bounds.segment_value,
        coalesce(daily.dau, 0) as dau,
        sum(coalesce(trailing_changes_per_day.wau_change, 0)) over so_far as wau,
        sum(coalesce(trailing_changes_per_day.mau_change, 0)) over so_far as mau,
        coalesce(daily.new_users, 0) as new_users,
        coalesce(daily.contributing_users, 0) as contributing_users,
        coalesce(daily.interacting_users, 0) as interacting_users,
        coalesce(daily_sessions.sessions, 0) as sessions,
        coalesce(daily_sessions.bounces, 0) as bounces,
        coalesce(daily_sessions.dwell_seconds, 0) as dwell_seconds
    from all_days
    inner join bounds
        on all_days.calendar_date >= bounds.first_date
    left join daily
        on
            all_days.calendar_date = daily.activity_date
            and bounds.segment_type = daily.segment_type
            and bounds.segment_value = daily.segment_value
    left join trailing_changes_per_day
        on
            all_days.calendar_date = trailing_changes_per_day.change_date
            and bounds.segment_type = trailing_changes_per_day.segment_type
            and bounds.segment_value = trailing_changes_per_day.segment_value
    left join daily_sessions
        on
            all_days.calendar_date = daily_sessions.session_date
            and bounds.segment_type = daily_sessions.segment_type
            and bounds.segment_value = daily_sessions.segment_value
    window so_far as (
        partition by bounds.segment_type, bounds.segment_value
        order by all_days.calendar_date
        rows between unbounded preceding and current row
    )

)

select
    activity_date,
    segment_type,
    segment_value,
    cast(dau as bigint) as dau,
    cast(wau as bigint) as wau,
    cast(mau as bigint) as mau,
    {{ share("dau", "mau") }} as stickiness,
    cast(new_users as bigint) as new_users,
    cast(dau - new_users as bigint) as returning_users,
    {{ share("new_users", "dau") }} as new_user_share,
    {{ share("dau - new_users", "dau") }} as returning_user_share,
    cast(sessions as bigint) as sessions,
    {{ share("bounces", "sessions") }} as bounce_rate,
    {{ share("dwell_seconds", "sessions") }} as average_dwell_seconds,
    {{ share("contributing_users", "dau") }} as contribution_rate,
    {{ share("interacting_users", "dau") }} as interaction_rate
from measures
