{%- set settings = var("persona") -%}

with

users as (

    select * from {{ ref("dim_users") }}

),

ages as (

    select
        user_id,
        {{ years_between("birth_date", as_of()) }} as age
    from users
    where birth_date <= {{ as_of() }}

),

numbered_touches as (

    select
        user_id,
        campaign_id,
        row_number() over (
            partition by user_id
            order by touched_at, touch_id, campaign_id
        ) as touch_number
    from {{ ref("fct_campaign_touches") }}
    where touched_at is not null

),

interests as (

    select
        {% for place in [1, 2, 3] %}
        max(case when interest_rank = {{ place }} then category end) as interest_{{ place }},
        max(case when interest_rank = {{ place }} then interest_share end) as interest_{{ place }}_share,
        {% endfor %}
        user_id
    from {{ ref("int_user_interests") }}
    group by user_id

),

bought_categories as (

    select
        user_id,
        category,
        row_number() over (partition by user_id order by count(*) desc, category) as preference
    from {{ ref("fct_order_items") }}
    where
        user_id is not null
        and category is not null
        and is_purchase
        and line_amount > 0
    group by user_id, category

),

consumption as (

    select
        user_id,
        sum(gross_amount) as gross_revenue,
        sum(discount_amount) as discount_amount,
        sum(refund_amount) as refund_amount,
        min(case when is_purchase then order_date end) as first_order_date,
        max(case when is_purchase then order_date end) as last_order_date,
        max(case when is_purchase then ordered_at end) as last_ordered_at
    from {{ ref("fct_orders") }}
    where
        user_id is not null
        and not is_cancelled
    group by user_id

),

-- quintiles of everybody who ever bought, 5 the best; ties are broken by the other figure, then by user id
rfm_scores as (

    select
        users.user_id,
        ntile(5) over (order by consumption.last_ordered_at, users.orders, users.user_id) as recency_score,
        ntile(5) over (order by users.orders, users.net_revenue, users.user_id) as frequency_score,
        ntile(5) over (order by users.net_revenue, users.orders, users.user_id) as monetary_score
    from users
    inner join consumption
        on users.user_id = consumption.user_id
    where users.orders > 0

),

sellers as (

    select distinct coalesce(accounts.user_id, orders.seller_id) as user_id
    from {{ ref("fct_orders") }} as orders
    left join {{ ref("int_identity_accounts") }} as accounts
        on orders.seller_id = accounts.account_id
    where
        orders.seller_id is not null
        and not orders.is_cancelled

),

stages as (

    select
        user_id,
        stage,
        stage_zh,
        valid_from
    from {{ ref("fct_lifecycle_stages") }}
    where is_current

)

select
    users.user_id,
    users.is_identified,
    users.registered_at,
    ages.age,
    case
        when ages.age is null then 'unknown'
        when ages.age < 18 then '0-17'
        when ages.age < 25 then '18-24'
        when ages.age < 35 then '25-34'
        when ages.age < 45 then '35-44'
        when ages.age < 55 then '45-54'
        when ages.age < 65 then '55-64'
        else '65+'
    end as age_band,
    users.gender,
    users.region,
    users.city,
    {{ city_tier("users.city", "cities.city_tier") }} as city_tier,
    {{ city_tier_zh("users.city", "cities.city_tier_zh") }} as city_tier_zh,
    users.acquisition_channel,
    first_touches.campaign_id as first_campaign_id,
    users.referrer_user_id,
    users.consent_email,
    users.consent_sms,
    users.consent_push,

    -- devices, channels, rhythm
    preferences.preferred_channel,
    coalesce(preferences.channels_used, 0) as channels_used,
    preferences.preferred_device,
    coalesce(preferences.devices_used, 0) as devices_used,
    preferences.active_hour,
    preferences.active_daypart,
    preferences.active_weekday,
    users.first_seen_date,
    users.active_days,
    users.first_active_date,
    users.last_active_date,
    {{ days_between("users.last_active_date", as_of()) }} as days_since_last_active,
    preferences.usual_gap_days,

    -- interests
    {% for place in [1, 2, 3] %}
    interests.interest_{{ place }},
    interests.interest_{{ place }}_share,
    {% endfor %}
    bought_categories.category as top_category,

    -- consumption
    users.orders,
    {{ money("coalesce(consumption.gross_revenue, 0)") }} as gross_revenue,
    users.net_revenue,
    {{ share("users.net_revenue", "users.orders") }} as average_order_value,
    {{ share("consumption.discount_amount", "consumption.gross_revenue") }} as discount_share,
    case
        when coalesce(consumption.gross_revenue, 0) <= 0 then 'unknown'
        when consumption.discount_amount >= consumption.gross_revenue * {{ settings.price_sensitive_share }} then 'high'
        when consumption.discount_amount >= consumption.gross_revenue * {{ settings.price_aware_share }} then 'medium'
        else 'low'
    end as price_sensitivity,
    {{ share("consumption.refund_amount", "consumption.gross_revenue") }} as refund_share,
    consumption.first_order_date,
    consumption.last_order_date,
    {{ days_between("consumption.last_order_date", as_of()) }} as days_since_last_order,

    -- content
    cast(coalesce(behaviour.sessions, 0) as bigint) as sessions,
    cast(coalesce(behaviour.page_views, 0) as bigint) as page_views,
    cast(coalesce(behaviour.interactions, 0) as bigint) as interactions,
    cast(coalesce(behaviour.contributions, 0) as bigint) as contributions,

    -- roles overlap; selling and moderating may leave no event, so there the role of the profile counts, too
    users.roles,
    users.orders > 0 as is_buyer,
    sellers.user_id is not null or {{ has_role("users.roles", "seller") }} as is_seller,
    coalesce(behaviour.contributions, 0) > 0 as is_author,
    coalesce(behaviour.page_views, 0) > 0 as is_reader,
    tiers.moderator_tier = 'active' or {{ has_role("users.roles", "moderator") }} as is_moderator,

    -- RFM, tiers, stage
    cast(rfm_scores.recency_score as integer) as recency_score,
    cast(rfm_scores.frequency_score as integer) as frequency_score,
    cast(rfm_scores.monetary_score as integer) as monetary_score,
    coalesce(rfm_segments.rfm_segment, 'no_purchase') as rfm_segment,
    coalesce(rfm_segments.rfm_segment_en, 'No purchase yet') as rfm_segment_en,
    coalesce(rfm_segments.rfm_segment_zh, '未购买') as rfm_segment_zh,
    tiers.trailing_net_revenue,
    {% for kind in tier_kinds() | map(attribute="kind") %}
    tiers.{{ kind }},
    tiers.{{ kind }}_zh,
    {% endfor %}
    tiers.level,
    tiers.level_points,
    stages.stage as lifecycle_stage,
    stages.stage_zh as lifecycle_stage_zh,
    stages.valid_from as lifecycle_stage_since,
    {{ as_of() }} as as_of_date
from users
inner join {{ ref("fct_user_tiers") }} as tiers on users.user_id = tiers.user_id
left join ages on users.user_id = ages.user_id
left join {{ ref("city_tiers") }} as cities on {{ city_key("users.city") }} = cities.city_key
left join numbered_touches as first_touches on users.user_id = first_touches.user_id and first_touches.touch_number = 1
left join {{ ref("int_user_preferences") }} as preferences on users.user_id = preferences.user_id
left join interests on users.user_id = interests.user_id
left join bought_categories on users.user_id = bought_categories.user_id and bought_categories.preference = 1
left join consumption on users.user_id = consumption.user_id
left join {{ ref("int_user_activity") }} as behaviour on users.user_id = behaviour.user_id
left join sellers on users.user_id = sellers.user_id
left join rfm_scores on users.user_id = rfm_scores.user_id
left join {{ ref("rfm_segments") }} as rfm_segments
    on
        rfm_scores.recency_score = rfm_segments.recency_score
        and rfm_scores.frequency_score = rfm_segments.frequency_score
        and rfm_scores.monetary_score = rfm_segments.monetary_score
left join stages on users.user_id = stages.user_id
