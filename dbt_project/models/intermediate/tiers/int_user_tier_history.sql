{%- set tiers = var("tiers") -%}
{%- set value_days = var("churn").value_window_days -%}
-- depends_on: {{ ref("int_events") }} (read only where moderation events are configured)

with

judged_dates as (

    select judged_on from {{ ref("int_tier_dates") }}

),

users as (

    select
        user_id,
        coalesce(first_seen_date, {{ as_of() }}) as known_from
    from {{ ref("dim_users") }}

),

-- everybody is judged from their first trace on; without a dated one, at the as-of date only
judged_users as (

    select
        users.user_id,
        judged_dates.judged_on,
        users.known_from
    from users
    inner join judged_dates
        on users.known_from <= judged_dates.judged_on

),

-- what users did within the window of each judged date
behaviour as (

    select
        days.user_id,
        judged_dates.judged_on,
        count(*) as active_days,
        sum(
            case
                when
                    days.activity_date > {{ add_days("judged_dates.judged_on", "-" ~ tiers.frequency_window_days) }}
                    then 1
                else 0
            end
        ) as recent_active_days,
        sum(days.page_views) as page_views,
        sum(days.interactions) as interactions,
        sum(days.contributions) as contributions,
        sum(days.orders) as orders
    from {{ ref("fct_user_days") }} as days
    inner join judged_dates
        on
            days.activity_date <= judged_dates.judged_on
            and days.activity_date > {{ add_days("judged_dates.judged_on", "-" ~ tiers.window_days) }}
    group by days.user_id, judged_dates.judged_on

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
        orders.user_id,
        judged_dates.judged_on,
        sum(orders.net_amount) as net_revenue
    from orders
    inner join judged_dates
        on
            orders.order_date <= judged_dates.judged_on
            and orders.order_date > {{ add_days("judged_dates.judged_on", "-" ~ value_days) }}
    where orders.user_id is not null
    group by orders.user_id, judged_dates.judged_on

),

-- those without any revenue come last, so the others' ranks are among themselves
ranked_buyers as (

    select
        user_id,
        judged_on,
        net_revenue,
        case
            when net_revenue > 0 then row_number() over (partition by judged_on order by net_revenue desc, user_id)
        end as value_rank,
        count(case when net_revenue > 0 then 1 end) over (partition by judged_on) as ranked_users
    from revenue

),

sales as (

    select
        coalesce(accounts.user_id, orders.seller_id) as user_id,
        judged_dates.judged_on,
        sum(orders.net_amount) as net_sales
    from orders
    left join {{ ref("int_identity_accounts") }} as accounts
        on orders.seller_id = accounts.account_id
    inner join judged_dates
        on
            orders.order_date <= judged_dates.judged_on
            and orders.order_date > {{ add_days("judged_dates.judged_on", "-" ~ value_days) }}
    where orders.seller_id is not null
    group by coalesce(accounts.user_id, orders.seller_id), judged_dates.judged_on

),

-- sellers are ranked among the users: a shop id that is no user takes nobody's place
ranked_sellers as (

    select
        sales.user_id,
        sales.judged_on,
        sales.net_sales,
        case
            when sales.net_sales > 0
                then row_number() over (partition by sales.judged_on order by sales.net_sales desc, sales.user_id)
        end as sales_rank,
        count(case when sales.net_sales > 0 then 1 end) over (partition by sales.judged_on) as ranked_users
    from sales
    inner join users
        on sales.user_id = users.user_id

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

-- how loyal a buyer is depends on a few purchases only: their dates answer for every judged date
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

    select distinct
        events.user_id,
        judged_dates.judged_on
    from {{ ref("int_events") }} as events
    inner join judged_dates
        on
            events.event_date <= judged_dates.judged_on
            and events.event_date > {{ add_days("judged_dates.judged_on", "-" ~ tiers.window_days) }}
    where
        events.event_name in ({{ text_literals(tiers.moderation_events) }})

),

{% endif %}
measured as (

    select
        judged_users.user_id,
        judged_users.judged_on,
        judged_users.known_from,
        coalesce(behaviour.recent_active_days, 0) as recent_active_days,
        coalesce(behaviour.page_views, 0) as page_views,
        coalesce(behaviour.contributions, 0) as contributions,
        coalesce(behaviour.active_days, 0) * {{ tiers.points.active_day }}
        + coalesce(behaviour.interactions, 0) * {{ tiers.points.interaction }}
        + coalesce(behaviour.contributions, 0) * {{ tiers.points.contribution }}
        + coalesce(behaviour.orders, 0) * {{ tiers.points.order }} as level_points,
        coalesce(ranked_buyers.net_revenue, 0) as trailing_net_revenue,
        coalesce(ranked_sellers.net_sales, 0) as trailing_net_sales,
        ranked_buyers.value_rank,
        ranked_buyers.ranked_users as ranked_buyers,
        ranked_sellers.sales_rank,
        ranked_sellers.ranked_users as ranked_sellers,
        buyers.buyer_from,
        buyers.repeat_from,
        buyers.loyal_from,
        {{ "moderation.user_id is not null" if tiers.moderation_events else "false" }} as has_moderated
    from judged_users
    left join behaviour
        on judged_users.user_id = behaviour.user_id and judged_users.judged_on = behaviour.judged_on
    left join ranked_buyers
        on judged_users.user_id = ranked_buyers.user_id and judged_users.judged_on = ranked_buyers.judged_on
    left join ranked_sellers
        on judged_users.user_id = ranked_sellers.user_id and judged_users.judged_on = ranked_sellers.judged_on
    left join buyers
        on judged_users.user_id = buyers.user_id
    {% if tiers.moderation_events %}
    left join moderation
        on judged_users.user_id = moderation.user_id and judged_users.judged_on = moderation.judged_on
    {% endif %}

)

select
    user_id,
    judged_on,
    {{ money("trailing_net_revenue") }} as trailing_net_revenue,
    {{ tier_by_rank("value_rank", "ranked_buyers") }} as value_tier,
    {{ tier_by_count("recent_active_days", tiers.frequency_high_days, tiers.frequency_medium_days) }} as frequency_tier,
    case
        when judged_on < {{ add_days("known_from", tiers.new_user_days) }} then 'new'
        else 'old'
    end as tenure_tier,
    case
        when loyal_from <= judged_on then 'loyal'
        when repeat_from <= judged_on then 'repeat'
        when buyer_from <= judged_on then 'one_time'
        else 'none'
    end as buyer_tier,
    {{ money("trailing_net_sales") }} as trailing_net_sales,
    {{ tier_by_rank("sales_rank", "ranked_sellers") }} as seller_tier,
    {{ tier_by_count(
        "contributions", tiers.author_high_contributions, tiers.author_medium_contributions
    ) }} as author_tier,
    {{ tier_by_count("page_views", tiers.reader_high_page_views, tiers.reader_medium_page_views) }} as reader_tier,
    case when has_moderated then 'active' else 'none' end as moderator_tier,
    cast(level_points as bigint) as level_points,
    cast(
        case
            {%- for points in tiers.level_points | reverse %}
            when level_points >= {{ points }} then {{ 6 - loop.index }}
            {%- endfor %}
            else 1
        end as integer
    ) as level
from measured
