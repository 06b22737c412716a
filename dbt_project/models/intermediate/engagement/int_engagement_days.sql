{{ config(materialized="table") }}
{#- A user can change channel and device: there the previous active day in the same segment counts. -#}
{%- set days_since_in_segment = {"channel": "days_since_channel", "device": "days_since_device"} %}

with

-- it makes no difference how far beyond the window the previous active day lies, or whether there is one
active_days as (

    select
        days.activity_date,
        users.acquisition_channel,
        days.channel,
        days.device,
        {{ within_engagement_window("days.gap_days") }} as days_since_previous,
        {{ within_engagement_window("days.gap_days_with_channel") }} as days_since_channel,
        {{ within_engagement_window("days.gap_days_with_device") }} as days_since_device,
        days.active_days_so_far = 1 as is_new,
        days.contributions,
        days.interactions,
        days.orders,
        days.net_revenue
    from {{ ref("int_user_rhythm") }} as days
    inner join {{ ref("int_user_segments") }} as users
        on days.user_id = users.user_id

),

-- every segment is counted from these, which are far fewer rows than user days
alike_days as (

    select
        activity_date,
        acquisition_channel,
        channel,
        device,
        days_since_previous,
        days_since_channel,
        days_since_device,
        count(*) as users,
        sum(case when is_new then 1 else 0 end) as new_users,
        sum(case when contributions > 0 then 1 else 0 end) as contributing_users,
        sum(case when interactions > 0 then 1 else 0 end) as interacting_users,
        sum(case when orders > 0 then 1 else 0 end) as paying_users,
        sum(orders) as orders,
        sum(net_revenue) as net_revenue
    from active_days
    group by
        activity_date,
        acquisition_channel,
        channel,
        device,
        days_since_previous,
        days_since_channel,
        days_since_device

)

{% for segment_type in engagement_segment_types() %}
{%- set days_since = days_since_in_segment.get(segment_type, "days_since_previous") %}
select
    activity_date,
    '{{ segment_type }}' as segment_type,
    {{ segment_value(segment_type) }} as segment_value,
    cast({{ days_since }} as integer) as days_since_previous,
    cast(sum(users) as bigint) as users,
    cast(sum(new_users) as bigint) as new_users,
    cast(sum(contributing_users) as bigint) as contributing_users,
    cast(sum(interacting_users) as bigint) as interacting_users,
    cast(sum(paying_users) as bigint) as paying_users,
    cast(sum(orders) as bigint) as orders,
    {{ money("sum(net_revenue)") }} as net_revenue
from alike_days
group by activity_date, {{ segment_value(segment_type) }}, {{ days_since }}
{{ "union all" if not loop.last }}
{%- endfor %}
