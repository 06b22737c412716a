{#-
    One model for training and for scoring; `feature_dates` are the observation dates it builds (again).

    Point in time: only what was known on the observation date counts. Event days count from their own date on; a
    device belongs to whom the links up to that date say (int_churn_identities); order amounts count from the date on
    which they became known (int_churn_order_ledger). Nothing else is read: no attribute of a profile, no current figure
    of a user.

    Sums are over integers and decimals, so that the same input gives the same bytes.
-#}
{%- set active_window = var('churn')['active_window_days'] -%}
{%- set value_window = var('churn')['value_window_days'] -%}
{%- set horizon = var('churn')['horizon_days'] -%}
{%- set lead = var('churn')['lead_days'] -%}

{{
    config(
        materialized="incremental",
        incremental_strategy="append",
        on_schema_change="sync_all_columns",
        pre_hook="{{ forget_churn_features() }}",
    )
}}

with

observation_dates as (

    {{ observation_dates() }}

),

accounts_as_known as (

    select
        as_of_date,
        id as account_id,
        user_id
    from {{ ref("int_churn_identities") }}
    where kind = 'user'

),

event_days as (

    select
        as_of_date,
        user_id,
        activity_date,
        days_ago,
        sum(activity_events) as activity_events,
        sum(sessions) as sessions,
        sum(page_views) as page_views,
        sum(interactions) as interactions,
        sum(contributions) as contributions,
        sum(active_seconds) as active_seconds,
        max(distinct_categories) as distinct_categories
    from {{ ref("int_churn_days_as_known") }}
    group by 1, 2, 3, 4

),

orders_as_known as (

    select * from {{ ref("int_churn_orders_as_known") }}

),

active_days as (

    select * from {{ ref("int_churn_active_days") }}

),

observed_users as (

    select
        as_of_date,
        user_id
    from active_days
    group by 1, 2
    having min(days_ago) < {{ active_window }}

),

gaps as (

    select
        active_days.as_of_date,
        active_days.user_id,
        active_days.activity_date,
        active_days.days_ago,
        lag(active_days.days_ago) over (
            partition by active_days.as_of_date, active_days.user_id order by active_days.activity_date
        ) - active_days.days_ago as gap_days,
        row_number() over (
            partition by active_days.as_of_date, active_days.user_id order by active_days.activity_date desc
        ) as recency_rank
    from active_days
    inner join observed_users
        on
            active_days.as_of_date = observed_users.as_of_date
            and active_days.user_id = observed_users.user_id

),

activity as (

    select
        as_of_date,
        user_id,
        count(*) as active_days_total,
        min(days_ago) as days_silent,
        max(days_ago) as tenure_days,
        {{ share('sum(gap_days)', 'count(gap_days)') }} as usual_gap_days,
        {{ median_of("gap_days") }} as median_gap_days,
        {{ exact_stddev('gap_days') }} as std_gap_days,
        max(gap_days) as longest_gap_days,
        {{ share(
            "sum(case when recency_rank <= 3 then gap_days end)",
            "count(case when recency_rank <= 3 then gap_days end)"
        ) }}
            as recent_gap_days,
        {{ share('sum(' ~ is_weekday('activity_date') ~ ')', 'count(*)') }} as weekday_share,
        {% for days in [7, 14, 30, 60, 90, 180] -%}
        sum(case when days_ago < {{ days }} then 1 else 0 end) as active_days_{{ days }},
        {% endfor -%}
        sum(case when days_ago >= 7 and days_ago < 14 then 1 else 0 end) as active_days_prev_7,
        sum(case when days_ago >= 14 and days_ago < 28 then 1 else 0 end) as active_days_prev_14,
        sum(case when days_ago >= 30 and days_ago < 60 then 1 else 0 end) as active_days_prev_30,
        sum(case when days_ago >= 30 and days_ago < 90 then 1 else 0 end) as active_days_prev_60,
        sum(case when days_ago >= 90 and days_ago < 180 then 1 else 0 end) as active_days_prev_90,
        sum(
            case
                when days_ago < 365 - {{ lead }} and days_ago >= 365 - {{ lead }} - {{ horizon }} then 1
                else 0
            end
        ) as active_days_year_before
    from gaps
    group by 1, 2

),

behaviour as (

    select
        as_of_date,
        user_id,
        count(*) as event_days_total,
        {% for measure in ['sessions', 'page_views', 'interactions', 'contributions', 'active_seconds'] -%}
        sum(case when days_ago < 30 then {{ measure }} else 0 end) as {{ measure }}_30,
        sum(case when days_ago >= 30 and days_ago < 60 then {{ measure }} else 0 end) as {{ measure }}_prev_30,
        sum(case when days_ago < 90 then {{ measure }} else 0 end) as {{ measure }}_90,
        sum({{ measure }}) as {{ measure }}_total,
        {% endfor -%}
        {{ share(
            "sum(case when days_ago < 30 then distinct_categories end)",
            "count(case when days_ago < 30 then 1 end)"
        ) }}
            as categories_per_day_30,
        {{ share(
            'sum(case when days_ago >= 30 and days_ago < 60 then distinct_categories end)',
            'count(case when days_ago >= 30 and days_ago < 60 then 1 end)'
        ) }} as categories_per_day_prev_30,
        {{ share('sum(distinct_categories)', 'count(*)') }} as categories_per_day_total
    from event_days
    group by 1, 2

),

spending as (

    select
        as_of_date,
        user_id,
        {% for days in [30, 90, 180] -%}
        sum(case when days_ago < {{ days }} then purchases else 0 end) as orders_{{ days }},
        sum(case when days_ago < {{ days }} then gross_amount else 0 end) as gross_revenue_{{ days }},
        sum(case when days_ago < {{ days }} then gross_amount - discount_amount - refund_amount else 0 end)
            as net_revenue_{{ days }},
        {% endfor -%}
        sum(case when days_ago >= 30 and days_ago < 60 then purchases else 0 end) as orders_prev_30,
        sum(case when days_ago >= 90 and days_ago < 180 then purchases else 0 end) as orders_prev_90,
        sum(case when days_ago >= 90 and days_ago < 180 then gross_amount - discount_amount - refund_amount else 0 end)
            as net_revenue_prev_90,
        sum(purchases) as orders_total,
        sum(gross_amount) as gross_revenue_total,
        sum(gross_amount - discount_amount - refund_amount) as net_revenue_total,
        sum(
            case when days_ago < {{ value_window }} then gross_amount - discount_amount - refund_amount else 0 end
        ) as net_revenue_value_window,
        sum(case when days_ago < 180 then discount_amount else 0 end) as discount_amount_180,
        sum(case when days_ago < 180 then refund_amount else 0 end) as refund_amount_180,
        sum(discount_amount) as discount_amount_total,
        sum(refund_amount) as refund_amount_total
    from orders_as_known
    group by 1, 2

),

order_gaps as (

    select
        as_of_date,
        user_id,
        days_ago,
        lag(days_ago) over (partition by as_of_date, user_id order by activity_date) - days_ago as gap_days
    from active_days
    where is_order_day = 1

),

order_rhythm as (

    select
        as_of_date,
        user_id,
        min(days_ago) as days_since_last_order,
        max(days_ago) as days_since_first_order,
        count(*) as order_days_total,
        {{ share('sum(gap_days)', 'count(gap_days)') }} as usual_order_gap_days,
        {{ exact_stddev('gap_days') }} as std_order_gap_days
    from order_gaps
    group by 1, 2

),

recent_channels as (

    select
        as_of_date,
        user_id,
        channel
    from {{ ref("int_churn_days_as_known") }}
    where days_ago < 90
    union all
    select
        as_of_date,
        user_id,
        channel
    from orders_as_known
    where
        days_ago < 90
        and purchases > 0

),

channels as (

    select
        as_of_date,
        user_id,
        count(distinct channel) as distinct_channels_90
    from recent_channels
    group by 1, 2

),

feedback_as_known as (

    select
        dates.as_of_date,
        coalesce(accounts.user_id, versions.user_id) as user_id,
        {{ days_between("versions.feedback_date", "dates.as_of_date") }} as days_ago,
        versions.score,
        versions.is_ticket,
        coalesce(versions.resolved_date <= dates.as_of_date, false) as is_resolved
    from {{ ref("int_churn_feedback_versions") }} as versions
    inner join observation_dates as dates
        on
            versions.known_from <= dates.as_of_date
            and (versions.known_until > dates.as_of_date or versions.known_until is null)
    left join accounts_as_known as accounts
        on
            dates.as_of_date = accounts.as_of_date
            and versions.user_id = accounts.account_id

),

feedback as (

    select
        as_of_date,
        user_id,
        sum(case when days_ago < 180 then 1 else 0 end) as feedback_180,
        sum(case when days_ago < 180 and is_ticket then 1 else 0 end) as tickets_180,
        sum(case when is_ticket and not is_resolved then 1 else 0 end) as open_tickets,
        {{ share(
            "sum(case when days_ago < 180 then cast(score as decimal(18, 4)) end)",
            "count(case when days_ago < 180 then score end)"
        ) }} as feedback_score_180
    from feedback_as_known
    group by 1, 2

),

revenue_at_date as (

    select
        as_of_date,
        max(case when gross_revenue_total > 0 then 1 else 0 end) as has_revenue
    from spending
    group by 1

),

joined as (

    select
        activity.*,
        {% for measure in ['sessions', 'page_views', 'interactions', 'contributions', 'active_seconds'] -%}
        {% for suffix in ['30', 'prev_30', '90', 'total'] -%}
        coalesce(behaviour.{{ measure }}_{{ suffix }}, 0) as {{ measure }}_{{ suffix }},
        {% endfor -%}
        {% endfor -%}
        coalesce(behaviour.event_days_total, 0) as event_days_total,
        behaviour.categories_per_day_30,
        behaviour.categories_per_day_prev_30,
        behaviour.categories_per_day_total,
        {% for days in ['30', '90', '180', 'prev_30', 'prev_90', 'total'] -%}
        coalesce(spending.orders_{{ days }}, 0) as orders_{{ days }},
        {% endfor -%}
        {% for days in ['30', '90', '180', 'total'] -%}
        coalesce(spending.gross_revenue_{{ days }}, 0) as gross_revenue_{{ days }},
        {% endfor -%}
        {% for days in ['30', '90', '180', 'prev_90', 'value_window', 'total'] -%}
        coalesce(spending.net_revenue_{{ days }}, 0) as net_revenue_{{ days }},
        {% endfor -%}
        spending.discount_amount_180,
        spending.discount_amount_total,
        spending.refund_amount_180,
        spending.refund_amount_total,
        order_rhythm.days_since_last_order,
        order_rhythm.days_since_first_order,
        order_rhythm.usual_order_gap_days,
        order_rhythm.std_order_gap_days,
        coalesce(order_rhythm.order_days_total, 0) as order_days_total,
        coalesce(channels.distinct_channels_90, 0) as distinct_channels_90,
        coalesce(feedback.feedback_180, 0) as feedback_180,
        coalesce(feedback.tickets_180, 0) as tickets_180,
        coalesce(feedback.open_tickets, 0) as open_tickets,
        feedback.feedback_score_180,
        coalesce(revenue_at_date.has_revenue, 0) as has_revenue
    from activity
    left join behaviour
        on
            activity.as_of_date = behaviour.as_of_date
            and activity.user_id = behaviour.user_id
    left join spending
        on
            activity.as_of_date = spending.as_of_date
            and activity.user_id = spending.user_id
    left join order_rhythm
        on
            activity.as_of_date = order_rhythm.as_of_date
            and activity.user_id = order_rhythm.user_id
    left join channels
        on
            activity.as_of_date = channels.as_of_date
            and activity.user_id = channels.user_id
    left join feedback
        on
            activity.as_of_date = feedback.as_of_date
            and activity.user_id = feedback.user_id
    left join revenue_at_date
        on activity.as_of_date = revenue_at_date.as_of_date

)

select
    user_id,
    as_of_date,
    cast(days_silent as double) as days_silent,
    cast(active_days_total as double) as active_days_total,
    cast(tenure_days as double) as tenure_days,
    usual_gap_days,
    median_gap_days,
    std_gap_days,
    cast(longest_gap_days as double) as longest_gap_days,
    recent_gap_days,
    {{ share('std_gap_days', 'usual_gap_days') }} as gap_variation,
    {{ share('days_silent', 'usual_gap_days') }} as silence_ratio,
    {{ share('days_silent', 'longest_gap_days') }} as silence_to_longest_gap,
    (days_silent - usual_gap_days) / (std_gap_days + 1) as silence_score,
    {{ share('active_days_total', '(tenure_days + 1)') }} as activity_rate,
    weekday_share,
    {% for days in ['7', '14', '30', '60', '90', '180', 'prev_7', 'prev_14', 'prev_30', 'prev_60', 'prev_90'] -%}
    cast(active_days_{{ days }} as double) as active_days_{{ days }},
    {% endfor -%}
    {{ share('(active_days_7 + 1)', '(active_days_prev_7 + 1)') }} as activity_trend_7,
    {{ share('(active_days_14 + 1)', '(active_days_prev_14 + 1)') }} as activity_trend_14,
    {{ share('(active_days_30 + 1)', '(active_days_prev_30 + 1)') }} as activity_trend_30,
    {{ share('(active_days_30 + 1)', '(active_days_prev_60 / 2.0 + 1)') }} as activity_trend_60,
    {{ share('(active_days_90 + 1)', '(active_days_prev_90 + 1)') }} as activity_trend_90,
    case when tenure_days >= 365 - {{ lead }} then cast(active_days_year_before as double) end
        as active_days_year_before,
    cast(event_days_total as double) as event_days_total,
    {% for measure in ['sessions', 'page_views', 'interactions', 'contributions', 'active_seconds'] -%}
    {% for suffix in ['30', 'prev_30', '90', 'total'] -%}
    cast({{ measure }}_{{ suffix }} as double) as {{ measure }}_{{ suffix }},
    {% endfor -%}
    {% endfor -%}
    {{ share('page_views_90', 'sessions_90') }} as page_views_per_session_90,
    {{ share('active_seconds_90', 'sessions_90') }} as seconds_per_session_90,
    categories_per_day_30,
    categories_per_day_prev_30,
    categories_per_day_total,
    cast(distinct_channels_90 as double) as distinct_channels_90,
    cast(feedback_180 as double) as feedback_180,
    cast(tickets_180 as double) as tickets_180,
    cast(open_tickets as double) as open_tickets,
    feedback_score_180,
    {% for days in ['30', '90', '180', 'prev_30', 'prev_90', 'total'] -%}
    cast(orders_{{ days }} as double) as orders_{{ days }},
    {% endfor -%}
    {% for days in ['30', '90', '180', 'prev_90', 'total'] -%}
    cast(net_revenue_{{ days }} as double) as net_revenue_{{ days }},
    {% endfor -%}
    {{ share('(orders_30 + 1)', '(orders_prev_30 + 1)') }} as order_trend_30,
    {{ share('(orders_90 + 1)', '(orders_prev_90 + 1)') }} as order_trend_90,
    {{ share('net_revenue_90', '(net_revenue_90 + net_revenue_prev_90)') }} as net_revenue_trend_90,
    {{ share('gross_revenue_90', 'orders_90') }} as order_value_90,
    {{ share('gross_revenue_total', 'orders_total') }} as order_value_total,
    {{ share('gross_revenue_90 * orders_total', 'orders_90 * gross_revenue_total') }} as order_value_trend,
    {{ share('discount_amount_180', 'gross_revenue_180') }} as discount_share_180,
    {{ share('discount_amount_total', 'gross_revenue_total') }} as discount_share_total,
    {{ share('refund_amount_180', 'gross_revenue_180') }} as refund_share_180,
    {{ share('refund_amount_total', 'gross_revenue_total') }} as refund_share_total,
    cast(order_days_total as double) as order_days_total,
    cast(days_since_last_order as double) as days_since_last_order,
    cast(days_since_first_order as double) as days_since_first_order,
    usual_order_gap_days,
    std_order_gap_days,
    {{ share('std_order_gap_days', 'usual_order_gap_days') }} as order_gap_variation,
    {{ share('days_since_last_order', 'usual_order_gap_days') }} as order_silence_ratio,
    (days_since_last_order - usual_order_gap_days) / (std_order_gap_days + 1) as order_silence_score,
    case
        when has_revenue = 0 then cast(active_days_90 as double)
        when net_revenue_value_window > 0
            then cast(net_revenue_value_window as double) * {{ horizon }} / {{ value_window }}
        else cast(0 as double)
    end as user_value
from joined
