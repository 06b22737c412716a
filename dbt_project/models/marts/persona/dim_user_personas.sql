with

users as (

    select * from {{ ref("dim_users") }}

),

-- the value a user shows on most days (or in most moments) is the preferred one; ties go to the first in the alphabet
channels as (

    select
        user_id,
        primary_channel as channel,
        row_number() over (partition by user_id order by count(*) desc, primary_channel) as preference
    from {{ ref("fct_user_days") }}
    where primary_channel is not null
    group by user_id, primary_channel

),

devices as (

    select
        user_id,
        primary_device as device,
        row_number() over (partition by user_id order by count(*) desc, primary_device) as preference
    from {{ ref("fct_user_days") }}
    where primary_device is not null
    group by user_id, primary_device

),

weekdays as (

    select
        user_id,
        {{ iso_weekday("activity_date") }} as weekday,
        row_number() over (
            partition by user_id
            order by count(*) desc, {{ iso_weekday("activity_date") }}
        ) as preference
    from {{ ref("fct_user_days") }}
    group by user_id, {{ iso_weekday("activity_date") }}

),

visit_moments as (

    select
        user_id,
        started_at as visited_at
    from {{ ref("fct_sessions") }}

    union all

    select
        user_id,
        ordered_at as visited_at
    from {{ ref("fct_orders") }}
    where
        user_id is not null
        and is_purchase

),

visit_hours as (

    select
        user_id,
        extract(hour from {{ local_time("visited_at") }}) as visit_hour
    from visit_moments

),

visit_dayparts as (

    select
        user_id,
        case
            when visit_hour < 6 then 'night'
            when visit_hour < 12 then 'morning'
            when visit_hour < 18 then 'afternoon'
            else 'evening'
        end as daypart
    from visit_hours

),

dayparts as (

    select
        user_id,
        daypart,
        row_number() over (partition by user_id order by count(*) desc, daypart) as preference
    from visit_dayparts
    group by user_id, daypart

),

categories as (

    select
        user_id,
        category,
        row_number() over (partition by user_id order by count(*) desc, category) as preference
    from {{ ref("fct_order_items") }}
    where
        user_id is not null
        and category is not null
        and line_amount > 0
    group by user_id, category

),

rhythm as (

    select
        user_id,
        usual_gap_days,
        row_number() over (partition by user_id order by activity_date desc) as recency
    from {{ ref("int_user_rhythm") }}

),

consumption as (

    select
        user_id,
        sum(gross_amount) as gross_revenue,
        sum(discount_amount) as discount_amount,
        sum(refund_amount) as refund_amount,
        max(case when is_purchase then order_date end) as last_order_date,
        sum(
            case
                when order_date > {{ add_days(as_of(), "-" ~ var("churn").value_window_days) }} then net_amount
                else 0
            end
        ) as trailing_net_revenue
    from {{ ref("fct_orders") }}
    where
        user_id is not null
        and not is_cancelled
    group by user_id

),

value_ranks as (

    select
        user_id,
        row_number() over (order by trailing_net_revenue desc, user_id) as value_rank,
        count(*) over () as paying_users
    from consumption
    where trailing_net_revenue > 0

),

stages as (

    select
        user_id,
        stage,
        stage_zh
    from {{ ref("fct_lifecycle_stages") }}
    where is_current

),

ages as (

    select
        user_id,
        {{ years_between("birth_date", as_of()) }} as age
    from users
    where birth_date <= {{ as_of() }}

)

select
    users.user_id,
    users.is_identified,
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
    users.acquisition_channel,
    channels.channel as preferred_channel,
    devices.device as preferred_device,
    dayparts.daypart as active_daypart,
    cast(weekdays.weekday as integer) as active_weekday,
    users.active_days,
    users.first_active_date,
    users.last_active_date,
    rhythm.usual_gap_days,
    users.orders,
    users.net_revenue,
    {{ share("users.net_revenue", "users.orders") }} as average_order_value,
    {{ share("consumption.discount_amount", "consumption.gross_revenue") }} as discount_share,
    {{ share("consumption.refund_amount", "consumption.gross_revenue") }} as refund_share,
    consumption.last_order_date,
    categories.category as top_category,
    stages.stage as lifecycle_stage,
    stages.stage_zh as lifecycle_stage_zh,
    {{ money("coalesce(consumption.trailing_net_revenue, 0)") }} as trailing_net_revenue,
    case
        when value_ranks.user_id is null then 'none'
        when value_ranks.value_rank <= ceil(value_ranks.paying_users * 0.2) then 'high'
        when value_ranks.value_rank <= ceil(value_ranks.paying_users * 0.5) then 'medium'
        else 'low'
    end as value_tier,
    {{ as_of() }} as as_of_date
from users
left join ages on users.user_id = ages.user_id
left join channels on users.user_id = channels.user_id and channels.preference = 1
left join devices on users.user_id = devices.user_id and devices.preference = 1
left join weekdays on users.user_id = weekdays.user_id and weekdays.preference = 1
left join dayparts on users.user_id = dayparts.user_id and dayparts.preference = 1
left join categories on users.user_id = categories.user_id and categories.preference = 1
left join rhythm on users.user_id = rhythm.user_id and rhythm.recency = 1
left join consumption on users.user_id = consumption.user_id
left join value_ranks on users.user_id = value_ranks.user_id
left join stages on users.user_id = stages.user_id
