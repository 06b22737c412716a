with

active_days as (

    select
        activity_date,
        segment_type,
        segment_value,
        sum(users) as dau,
        sum(new_users) as new_users,
        sum(contributing_users) as contributing_users,
        sum(interacting_users) as interacting_users,
        sum(paying_users) as paying_users,
        sum(orders) as orders,
        sum(net_revenue) as net_revenue
    from {{ ref("int_engagement_days") }}
    group by activity_date, segment_type, segment_value

),

-- An active day makes a user count for `n` days. The next active day within them only postpones the day on which the
-- user stops counting, so the days since the previous active day tell who starts and who stops counting on every date.
trailing_changes as (

    {% for days, name in [(7, "wau"), (engagement_window_days(), "mau")] %}
    select
        '{{ name }}' as measure,
        segment_type,
        segment_value,
        case
            when days_since_previous >= {{ days }} then activity_date
            else {{ add_days("activity_date", days ~ " - days_since_previous") }}
        end as change_date,
        users as change
    from {{ ref("int_engagement_days") }}

    union all

    select
        '{{ name }}' as measure,
        segment_type,
        segment_value,
        {{ add_days("activity_date", days) }} as change_date,
        -users as change
    from {{ ref("int_engagement_days") }}
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

-- refund invoices on days without a purchase are in no active day, but belong to revenue
refunds_without_purchase as (

    select
        orders.order_date,
        coalesce(users.acquisition_channel, 'unknown') as acquisition_channel,
        coalesce(orders.channel, 'unknown') as channel,
        'unknown' as device,
        orders.net_amount as net_revenue
    from {{ ref("fct_orders") }} as orders
    inner join {{ ref("dim_users") }} as users
        on orders.user_id = users.user_id
    where
        not orders.is_cancelled
        and not orders.is_purchase
        and not exists (
            select 1
            from {{ ref("fct_orders") }} as purchases
            where
                purchases.is_purchase
                and purchases.user_id = orders.user_id
                and purchases.order_date = orders.order_date
        )

),

refunds_per_day as (

    {% for segment_type in engagement_segment_types() %}
    select
        order_date,
        '{{ segment_type }}' as segment_type,
        {{ segment_value(segment_type) }} as segment_value,
        sum(net_revenue) as net_revenue
    from refunds_without_purchase
    group by order_date, {{ segment_value(segment_type) }}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

segments as (

    select
        segment_type,
        segment_value,
        activity_date as segment_date
    from active_days

    union

    select
        segment_type,
        segment_value,
        session_date as segment_date
    from {{ ref("int_engagement_sessions") }}

    union

    select
        segment_type,
        segment_value,
        order_date as segment_date
    from refunds_per_day

),

bounds as (

    select
        segment_type,
        segment_value,
        min(segment_date) as first_date
    from segments
    group by segment_type, segment_value

),

-- of who was active before the first active day of anybody, nothing has come
known_activity as (

    select min(activity_date) as known_from
    from active_days

),

all_days as (

    {{ date_spine("first_date", as_of(), "(select min(first_date) as first_date from bounds) as earliest") }}

),

measures as (

    select
        all_days.calendar_date as activity_date,
        bounds.segment_type,
        bounds.segment_value,
        coalesce(active_days.dau, 0) as dau,
        sum(coalesce(trailing_changes_per_day.wau_change, 0)) over so_far as wau,
        sum(coalesce(trailing_changes_per_day.mau_change, 0)) over so_far as mau,
        coalesce(active_days.new_users, 0) as new_users,
        coalesce(active_days.contributing_users, 0) as contributing_users,
        coalesce(active_days.interacting_users, 0) as interacting_users,
        coalesce(active_days.paying_users, 0) as paying_users,
        coalesce(active_days.orders, 0) as orders,
        coalesce(active_days.net_revenue, 0) + coalesce(refunds_per_day.net_revenue, 0) as revenue,
        coalesce(sessions.visitors, 0) as visitors,
        coalesce(sessions.new_visitors, 0) as new_visitors,
        coalesce(sessions.sessions, 0) as sessions,
        coalesce(sessions.bounces, 0) as bounces,
        coalesce(sessions.dwell_seconds, 0) as dwell_seconds,
        coalesce(sessions.events, 0) as events,
        coalesce(sessions.page_views, 0) as page_views
    from all_days
    inner join bounds
        on all_days.calendar_date >= bounds.first_date
    left join active_days
        on
            all_days.calendar_date = active_days.activity_date
            and bounds.segment_type = active_days.segment_type
            and bounds.segment_value = active_days.segment_value
    left join trailing_changes_per_day
        on
            all_days.calendar_date = trailing_changes_per_day.change_date
            and bounds.segment_type = trailing_changes_per_day.segment_type
            and bounds.segment_value = trailing_changes_per_day.segment_value
    left join {{ ref("int_engagement_sessions") }} as sessions
        on
            all_days.calendar_date = sessions.session_date
            and bounds.segment_type = sessions.segment_type
            and bounds.segment_value = sessions.segment_value
    left join refunds_per_day
        on
            all_days.calendar_date = refunds_per_day.order_date
            and bounds.segment_type = refunds_per_day.segment_type
            and bounds.segment_value = refunds_per_day.segment_value
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
    cast(visitors as bigint) as visitors,
    cast(new_visitors as bigint) as new_visitors,
    cast(visitors - new_visitors as bigint) as returning_visitors,
    cast(sessions as bigint) as sessions,
    cast(events as bigint) as events,
    cast(page_views as bigint) as page_views,
    {{ share("page_views", "sessions") }} as pages_per_session,
    cast(bounces as bigint) as bounces,
    {{ share("bounces", "sessions") }} as bounce_rate,
    {{ share("dwell_seconds", "sessions") }} as average_dwell_seconds,
    {{ share("dwell_seconds", "sessions - bounces") }} as average_dwell_seconds_without_bounces,
    cast(contributing_users as bigint) as contributing_users,
    {{ share("contributing_users", "dau") }} as contribution_rate,
    cast(interacting_users as bigint) as interacting_users,
    {{ share("interacting_users", "dau") }} as interaction_rate,
    cast(paying_users as bigint) as paying_users,
    {{ share("paying_users", "dau") }} as paying_rate,
    cast(orders as bigint) as orders,
    {{ money("revenue") }} as revenue,
    {{ share("revenue", "dau") }} as arpu,
    {{ share("revenue", "paying_users") }} as arppu,
    coalesce(
        activity_date >= (
            select {{ add_days("known_activity.known_from", engagement_window_days() ~ " - 1") }}
            from known_activity
        ),
        false
    ) as is_observed
from measures
