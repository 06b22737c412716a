{{
    config(
        materialized="incremental",
        incremental_strategy="touched_dates",
        on_schema_change="append_new_columns",
        meta={
            "business_date": "activity_date",
            "follows": ["fct_user_days", "int_user_segments"],
            "stale_dates": "dates_that_look_back_on_touched_dates",
        },
        pre_hook="{{ log_rebuilt_dates() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}
{%- set window_days = engagement_window_days() -%}
{#- how a user's segment is told, and within what the user's day before is looked for -#}
{%- set segments = [
    ("all", "'all'", "previous_date"),
    ("acquisition_channel", "acquisition_channel", "previous_date"),
    ("channel", "channel", "previous_date_in_channel"),
    ("device", "device", "previous_date_on_device"),
] %}

with

user_days as (

    select
        days.*,
        coalesce(days.primary_channel, 'unknown') as channel,
        coalesce(days.primary_device, 'unknown') as device,
        users.acquisition_channel,
        days.activity_date = users.first_active_date as is_new
    from {{ ref("fct_user_days") }} as days
    inner join {{ ref("int_user_segments") }} as users
        on days.user_id = users.user_id
    where {{ in_window_of_touched_dates("days.activity_date", window_days) }}

),

user_days_with_previous as (

    select
        user_days.*,
        lag(activity_date) over (partition by user_id order by activity_date) as previous_date,
        lag(activity_date) over (partition by user_id, channel order by activity_date) as previous_date_in_channel,
        lag(activity_date) over (partition by user_id, device order by activity_date) as previous_date_on_device
    from user_days

),

-- days before that are further away than the window, or unknown, are all the same
days_of_segments as (

    {% for segment_type, segment_value, previous_date in segments %}
    select
        '{{ segment_type }}' as segment_type,
        {{ segment_value }} as segment_value,
        least(
            coalesce({{ days_between(previous_date, "activity_date") }}, {{ window_days }}), {{ window_days }}
        ) as days_since_previous,
        user_days_with_previous.*
    from user_days_with_previous
    where {{ in_touched_dates("activity_date") }}
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select
    activity_date,
    segment_type,
    segment_value,
    cast(days_since_previous as integer) as days_since_previous,
    cast(count(*) as bigint) as users,
    cast(sum(case when is_new then 1 else 0 end) as bigint) as new_users,
    cast(sum(case when contributions > 0 then 1 else 0 end) as bigint) as contributing_users,
    cast(sum(case when interactions > 0 then 1 else 0 end) as bigint) as interacting_users,
    cast(sum(case when orders > 0 then 1 else 0 end) as bigint) as paying_users,
    cast(sum(orders) as bigint) as orders,
    {{ money("sum(net_revenue)") }} as net_revenue
from days_of_segments
group by activity_date, segment_type, segment_value, days_since_previous
