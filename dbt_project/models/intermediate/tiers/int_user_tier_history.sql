{%- set tiers = var("tiers") -%}
{%- set value_days = var("churn").value_window_days -%}
{%- set numbers = judged_numbers() -%}
{%- set measures = ["recent_active_days", "page_views", "contributions", "level_points", "net_revenue", "net_sales"] -%}
-- depends_on: {{ ref("int_events") }} (read only where moderation events are configured)

with

judged_dates as (

    select
        judged_on,
        row_number() over (order by judged_on desc) as judged_number
    from {{ ref("int_tier_dates") }}

),

bounds as (

    select
        {{ add_days("min(judged_on)", "-" ~ [tiers.window_days, tiers.frequency_window_days, value_days] | max) }}
            as first_date,
        max(judged_on) as last_date
    from judged_dates

),

calendar as (

    {{ date_spine("first_date", "last_date", "bounds") }}

),

-- for each calendar date, the windows of judged dates that it lies in
windows as (

    select
        calendar.calendar_date,
        {{ window_marks("in_window", tiers.window_days) }},
        {{ window_marks("is_recent", tiers.frequency_window_days) }},
        {{ window_marks("in_value_window", value_days) }}
    from calendar
    cross join judged_dates
    group by calendar.calendar_date

),

-- sorted for speed only: sums are faster where the days of a user stand together
user_days as (

    select
        user_id,
        activity_date,
        cast(page_views as double) as page_views,
        cast(contributions as double) as contributions,
        cast(
            {{ tiers.points.active_day }}
            + interactions * {{ tiers.points.interaction }}
            + contributions * {{ tiers.points.contribution }}
            + orders * {{ tiers.points.order }} as double
        ) as level_points
    from {{ ref("fct_user_days") }}
    where activity_date >= (select bounds.first_date from bounds)
    order by user_id

),

-- what users did in the windows of each judged date
behaviour as (

    select
        {%- for number in numbers %}
        sum(windows.is_recent_{{ number }}) as recent_active_days_{{ number }},
        {%- for measure in ["page_views", "contributions", "level_points"] %}
        sum(user_days.{{ measure }} * windows.in_window_{{ number }}) as {{ measure }}_{{ number }},
        {%- endfor %}
        {%- endfor %}
        user_days.user_id
    from user_days
    inner join windows
        on user_days.activity_date = windows.calendar_date
    group by user_days.user_id

),

orders as (

    select
        order_id,
        user_id,
        seller_id,
        order_date,
        is_purchase,
        net_amount
    from {{ ref("fct_orders") }}
    where not is_cancelled

),

revenue as (

    select
        {%- for number in numbers %}
        {{ money(
            "sum(case when windows.in_value_window_" ~ number ~ " > 0 then orders.net_amount else 0 end)"
        ) }} as net_revenue_{{ number }},
        {%- endfor %}
        orders.user_id
    from orders
    inner join windows
        on orders.order_date = windows.calendar_date
    where orders.user_id is not null
    group by orders.user_id

),

revenue_limits as (

    {{ rank_limits("revenue", "net_revenue") }}

),

-- sellers are ranked among users, so orders of a seller id that is no user are left out
sold_orders as (

    select
        users.user_id,
        orders.order_date,
        orders.net_amount
    from orders
    left join {{ ref("int_identity_accounts") }} as accounts
        on orders.seller_id = accounts.account_id
    inner join {{ ref("dim_users") }} as users
        on coalesce(accounts.user_id, orders.seller_id) = users.user_id

),

sales as (

    select
        {%- for number in numbers %}
        {{ money(
            "sum(case when windows.in_value_window_" ~ number ~ " > 0 then sold_orders.net_amount else 0 end)"
        ) }} as net_sales_{{ number }},
        {%- endfor %}
        sold_orders.user_id
    from sold_orders
    inner join windows
        on sold_orders.order_date = windows.calendar_date
    group by sold_orders.user_id

),

sales_limits as (

    {{ rank_limits("sales", "net_sales") }}

),

numbered_purchases as (

    select
        user_id,
        order_date,
        row_number() over (partition by user_id order by order_date, order_id) as purchase_number
    from orders
    where
        is_purchase
        and user_id is not null

),

-- the dates of three purchases decide the buyer tier on every judged date
buyers as (

    select
        user_id,
        max(case when purchase_number = 1 then order_date end) as buyer_from,
        max(case when purchase_number = 2 then order_date end) as repeat_from,
        max(case when purchase_number = {{ tiers.loyal_orders }} then order_date end) as loyal_from
    from numbered_purchases
    where purchase_number in (1, 2, {{ tiers.loyal_orders }})
    group by user_id

),

{% if tiers.moderation_events %}
moderation as (

    select
        {%- for number in numbers %}
        sum(windows.in_window_{{ number }}) as moderation_{{ number }},
        {%- endfor %}
        events.user_id
    from {{ ref("int_events") }} as events
    inner join windows
        on events.event_date = windows.calendar_date
    where events.event_name in ({{ text_literals(tiers.moderation_events) }})
    group by events.user_id

),

{%- do measures.append("moderation") %}
{% endif %}
-- users are judged from their first trace on; users without a dated trace at the as-of date only
measured_users as (

    select
        {%- for measure in measures %}
        {%- for number in numbers %}
        {{ measure }}_{{ number }},
        {%- endfor %}
        {%- endfor %}
        users.user_id,
        coalesce(users.first_seen_date, {{ as_of() }}) as known_from,
        buyers.buyer_from,
        buyers.repeat_from,
        buyers.loyal_from
    from {{ ref("dim_users") }} as users
    left join behaviour
        on users.user_id = behaviour.user_id
    left join revenue
        on users.user_id = revenue.user_id
    left join sales
        on users.user_id = sales.user_id
    left join buyers
        on users.user_id = buyers.user_id
    {% if tiers.moderation_events %}
    left join moderation
        on users.user_id = moderation.user_id
    {% endif %}

),

measured as (

    {{ row_per_judged_number(
        "measured_users", ["user_id", "known_from", "buyer_from", "repeat_from", "loyal_from"], measures
    ) }}

)

select
    measured.user_id,
    judged_dates.judged_on,
    coalesce(measured.net_revenue, {{ money(0) }}) as trailing_net_revenue,
    {{ tier_by_rank("value_tier", "measured.net_revenue", "measured.user_id", "revenue_limits") }} as value_tier,
    {{ tier_by_count(
        "frequency_tier", "measured.recent_active_days", tiers.frequency_high_days, tiers.frequency_medium_days
    ) }} as frequency_tier,
    case
        when judged_dates.judged_on < {{ add_days("measured.known_from", tiers.new_user_days) }}
            then {{ tier("tenure_tier", "new") }}
        else {{ tier("tenure_tier", "old") }}
    end as tenure_tier,
    case
        when measured.loyal_from <= judged_dates.judged_on then {{ tier("buyer_tier", "loyal") }}
        when measured.repeat_from <= judged_dates.judged_on then {{ tier("buyer_tier", "repeat") }}
        when measured.buyer_from <= judged_dates.judged_on then {{ tier("buyer_tier", "one_time") }}
        else {{ tier("buyer_tier", "none") }}
    end as buyer_tier,
    coalesce(measured.net_sales, {{ money(0) }}) as trailing_net_sales,
    {{ tier_by_rank("seller_tier", "measured.net_sales", "measured.user_id", "sales_limits") }} as seller_tier,
    {{ tier_by_count(
        "author_tier", "measured.contributions", tiers.author_high_contributions, tiers.author_medium_contributions
    ) }} as author_tier,
    {{ tier_by_count(
        "reader_tier", "measured.page_views", tiers.reader_high_page_views, tiers.reader_medium_page_views
    ) }} as reader_tier,
    {% if tiers.moderation_events %}
    case
        when measured.moderation > 0 then {{ tier("moderator_tier", "active") }}
        else {{ tier("moderator_tier", "none") }}
    end as moderator_tier,
    {% else %}
    {{ tier("moderator_tier", "none") }} as moderator_tier,
    {% endif %}
    cast(coalesce(measured.level_points, 0) as bigint) as level_points,
    cast(
        case
            {%- for points in tiers.level_points | reverse %}
            when measured.level_points >= {{ points }} then {{ 6 - loop.index }}
            {%- endfor %}
            else 1
        end as integer
    ) as level
from measured
inner join judged_dates
    on measured.judged_number = judged_dates.judged_number
left join revenue_limits
    on measured.judged_number = revenue_limits.judged_number
left join sales_limits
    on measured.judged_number = sales_limits.judged_number
where measured.known_from <= judged_dates.judged_on
