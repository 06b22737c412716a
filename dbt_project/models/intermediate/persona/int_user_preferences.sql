{%- set window_days = var("persona").window_days -%}
{{
    config(
        materialized="incremental",
        incremental_strategy="touched_users",
        on_schema_change="append_new_columns",
        meta={
            "user_column": "user_id",
            "follows": ["fct_user_days", "fct_sessions"],
            "settings": ["persona", "lifecycle"],
        },
        pre_hook="{{ log_rebuilt_keys() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}

with

user_days as (

    select *
    from {{ ref("fct_user_days") }}
    where {{ in_touched_users("user_id") }}

),

last_days as (

    select
        user_id,
        max(activity_date) as last_active_date
    from user_days
    group by user_id

),

-- the window ends with the user's own last active day, so that habits do not fade while a user is silent
days_in_window as (

    select user_days.*
    from user_days
    inner join last_days
        on user_days.user_id = last_days.user_id
    where user_days.activity_date > {{ add_days("last_days.last_active_date", "-" ~ window_days) }}

),

-- sessions, and days with purchases but no session, such as those in a shop
visits as (

    select
        sessions.user_id,
        sessions.started_at as visited_at,
        sessions.channel,
        sessions.device
    from {{ ref("fct_sessions") }} as sessions
    inner join last_days
        on sessions.user_id = last_days.user_id
    where
        {{ in_touched_users("sessions.user_id") }}
        and sessions.session_date > {{ add_days("last_days.last_active_date", "-" ~ window_days) }}
        and sessions.session_date <= last_days.last_active_date

    union all

    select
        user_id,
        first_order_at as visited_at,
        order_channel as channel,
        cast(null as {{ dbt.type_string() }}) as device
    from days_in_window
    where
        sessions = 0
        and first_order_at is not null

),

means_used as (

    select
        user_id,
        count(distinct channel) as channels_used,
        count(distinct device) as devices_used
    from visits
    group by user_id

),

-- preferred is what most days or visits have; ties go to the first in alphabetical order
channels as (

    select
        user_id,
        primary_channel as channel,
        row_number() over (partition by user_id order by count(*) desc, primary_channel) as preference
    from days_in_window
    where primary_channel is not null
    group by user_id, primary_channel

),

devices as (

    select
        user_id,
        primary_device as device,
        row_number() over (partition by user_id order by count(*) desc, primary_device) as preference
    from days_in_window
    where primary_device is not null
    group by user_id, primary_device

),

day_weekdays as (

    select
        user_id,
        {{ iso_weekday("activity_date") }} as weekday
    from days_in_window

),

weekdays as (

    select
        user_id,
        weekday,
        row_number() over (partition by user_id order by count(*) desc, weekday) as preference
    from day_weekdays
    group by user_id, weekday

),

visit_hours as (

    select
        user_id,
        extract(hour from {{ local_time("visited_at") }}) as visit_hour
    from visits

),

visits_by_hour as (

    select
        user_id,
        visit_hour,
        {{ daypart("visit_hour") }} as daypart,
        count(*) as visits
    from visit_hours
    group by user_id, visit_hour

),

hours as (

    select
        user_id,
        visit_hour,
        row_number() over (partition by user_id order by visits desc, visit_hour) as preference
    from visits_by_hour

),

dayparts as (

    select
        user_id,
        daypart,
        row_number() over (partition by user_id order by sum(visits) desc, daypart) as preference
    from visits_by_hour
    group by user_id, daypart

),

-- the mean of all gaps, as on the lists; thresholds of lifecycle stages leave out gaps as long as a churn
rhythm as (

    select
        days.user_id,
        days.activity_date,
        {{ mean_gap_days("days") }} as usual_gap_days
    from {{ ref("int_user_rhythm") }} as days
    where {{ in_touched_users("days.user_id") }}

)

select
    last_days.user_id,
    last_days.last_active_date,
    channels.channel as preferred_channel,
    cast(coalesce(means_used.channels_used, 0) as bigint) as channels_used,
    devices.device as preferred_device,
    cast(coalesce(means_used.devices_used, 0) as bigint) as devices_used,
    cast(hours.visit_hour as integer) as active_hour,
    dayparts.daypart as active_daypart,
    cast(weekdays.weekday as integer) as active_weekday,
    rhythm.usual_gap_days
from last_days
left join means_used on last_days.user_id = means_used.user_id
left join channels on last_days.user_id = channels.user_id and channels.preference = 1
left join devices on last_days.user_id = devices.user_id and devices.preference = 1
left join weekdays on last_days.user_id = weekdays.user_id and weekdays.preference = 1
left join hours on last_days.user_id = hours.user_id and hours.preference = 1
left join dayparts on last_days.user_id = dayparts.user_id and dayparts.preference = 1
left join rhythm on last_days.user_id = rhythm.user_id and last_days.last_active_date = rhythm.activity_date
