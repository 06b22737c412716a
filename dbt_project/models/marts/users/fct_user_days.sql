{{
    config(
        materialized="incremental",
        incremental_strategy="touched_dates",
        on_schema_change="append_new_columns",
        meta={
            "business_date": "activity_date",
            "user_column": "user_id",
            "follows": ["int_events", "fct_sessions"],
            "rebuilds_user_days": true,
            "stale_dates": "dates_with_changed_orders",
        },
        pre_hook="{{ log_rebuilt_dates() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}

with

event_days as (

    select
        user_id,
        event_date as activity_date,
        max(case when is_identified then 1 else 0 end) as identified,
        count(*) as events,
        sum(case when is_activity then 1 else 0 end) as activity_events,
        sum(case when is_page_view then 1 else 0 end) as page_views,
        sum(case when is_interaction then 1 else 0 end) as interactions,
        sum(case when is_contribution then 1 else 0 end) as contributions,
        {{ distinct_texts("object_id") }} as distinct_objects,
        {{ distinct_texts("object_category") }} as distinct_categories,
        min(event_time) as first_event_at,
        max(event_time) as last_event_at
    from {{ ref("int_events") }}
    where {{ in_touched_user_days("event_date", "user_id") }}
    group by user_id, event_date

),

sessions as (

    select *
    from {{ ref("fct_sessions") }}
    where {{ in_touched_user_days("session_date", "user_id") }}

),

session_days as (

    select
        user_id,
        session_date as activity_date,
        count(*) as sessions,
        sum(duration_seconds) as active_seconds,
        min(channel) as first_channel,
        max(channel) as last_channel,
        min(device) as first_device,
        max(device) as last_device
    from sessions
    group by user_id, session_date

),

-- only days with several channels (or devices) have to be ranked
{% for choice in ["channel", "device"] %}
{{ choice }}s_by_events as (

    select
        sessions.user_id,
        sessions.session_date as activity_date,
        sessions.{{ choice }},
        row_number() over (
            partition by sessions.user_id, sessions.session_date
            order by sum(sessions.events) desc, sessions.{{ choice }}
        ) as {{ choice }}_rank
    from sessions
    inner join session_days
        on
            sessions.user_id = session_days.user_id
            and sessions.session_date = session_days.activity_date
    where
        session_days.first_{{ choice }} <> session_days.last_{{ choice }}
        and sessions.{{ choice }} is not null
    group by sessions.user_id, sessions.session_date, sessions.{{ choice }}

),

{% endfor %}
order_days as (

    select *
    from {{ ref("int_order_user_days") }}
    where {{ in_touched_user_days("activity_date", "user_id") }}

),

user_days as (

    select
        user_id,
        activity_date
    from event_days
    where activity_events > 0

    union

    select
        user_id,
        activity_date
    from order_days

)

select
    user_days.user_id,
    user_days.activity_date,
    coalesce(event_days.identified, 1) = 1 as is_identified,
    cast(coalesce(event_days.events, 0) as bigint) as events,
    cast(coalesce(event_days.activity_events, 0) as bigint) as activity_events,
    cast(coalesce(session_days.sessions, 0) as bigint) as sessions,
    cast(coalesce(event_days.page_views, 0) as bigint) as page_views,
    cast(coalesce(event_days.interactions, 0) as bigint) as interactions,
    cast(coalesce(event_days.contributions, 0) as bigint) as contributions,
    cast(coalesce(event_days.distinct_objects, 0) as bigint) as distinct_objects,
    cast(coalesce(event_days.distinct_categories, 0) as bigint) as distinct_categories,
    cast(coalesce(session_days.active_seconds, 0) as bigint) as active_seconds,
    coalesce(order_days.orders, 0) as orders,
    coalesce(order_days.items, 0) as items,
    {{ money("coalesce(order_days.gross_revenue, 0)") }} as gross_revenue,
    {{ money("coalesce(order_days.discount_amount, 0)") }} as discount_amount,
    {{ money("coalesce(order_days.refund_amount, 0)") }} as refund_amount,
    {{ money("coalesce(order_days.net_revenue, 0)") }} as net_revenue,
    coalesce(channels_by_events.channel, session_days.first_channel, order_days.order_channel) as primary_channel,
    coalesce(devices_by_events.device, session_days.first_device) as primary_device,
    order_days.order_channel,
    coalesce(event_days.first_event_at, order_days.first_order_at) as first_event_at,
    coalesce(event_days.last_event_at, order_days.last_order_at) as last_event_at,
    order_days.first_order_at,
    order_days.last_order_at
from user_days
left join event_days
    on user_days.user_id = event_days.user_id and user_days.activity_date = event_days.activity_date
left join session_days
    on user_days.user_id = session_days.user_id and user_days.activity_date = session_days.activity_date
left join channels_by_events
    on
        user_days.user_id = channels_by_events.user_id
        and user_days.activity_date = channels_by_events.activity_date
        and channels_by_events.channel_rank = 1
left join devices_by_events
    on
        user_days.user_id = devices_by_events.user_id
        and user_days.activity_date = devices_by_events.activity_date
        and devices_by_events.device_rank = 1
left join order_days
    on user_days.user_id = order_days.user_id and user_days.activity_date = order_days.activity_date
