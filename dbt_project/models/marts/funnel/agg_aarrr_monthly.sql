{%- set settings = var("aarrr") -%}
{%- set stages = ["acquired", "activated", "retained", "paying", "referring"] -%}

with

users as (

    select
        user_id,
        identified_from as acquired_date,
        {{ add_days("identified_from", settings.horizon_days ~ " - 1") }} as last_date,
        acquisition_channel,
        region,
        gender
    from {{ ref("dim_users") }}
    where
        is_identified
        and identified_from is not null

),

-- what the user did within the first days, the day of acquisition included
deeds as (

    select
        users.user_id,
        sum(
            case
                when days.activity_date < {{ add_days("users.acquired_date", settings.activation_days) }}
                    then days.interactions
                else 0
            end
        ) as early_interactions,
        max(
            case
                when days.activity_date >= {{ add_days("users.acquired_date", settings.retained_from_day) }} then 1
                else 0
            end
        ) as is_retained,
        sum(days.orders) as orders
    from users
    inner join {{ ref("fct_user_days") }} as days
        on
            users.user_id = days.user_id
            and users.acquired_date <= days.activity_date
            and users.last_date >= days.activity_date
    group by users.user_id

),

referrers as (

    select distinct referrers.user_id
    from users as referrers
    inner join {{ ref("int_referrals") }} as invited
        on
            referrers.user_id = invited.referrer_user_id
            and referrers.acquired_date <= invited.identified_from
            and referrers.last_date >= invited.identified_from

),

users_with_stages as (

    select
        {{ period_start("month", "users.acquired_date") }} as cohort_month,
        users.acquisition_channel,
        users.region,
        users.gender,
        case when deeds.early_interactions >= {{ settings.activation_interactions }} then 1 else 0 end as is_activated,
        coalesce(deeds.is_retained, 0) as is_retained,
        case when deeds.orders > 0 then 1 else 0 end as is_paying,
        case when referrers.user_id is not null then 1 else 0 end as is_referring
    from users
    left join deeds
        on users.user_id = deeds.user_id
    left join referrers
        on users.user_id = referrers.user_id

),

user_segments as (

    select
        users_with_stages.*,
        'all' as segment_type,
        'all' as segment_value
    from users_with_stages

    {% for segment in ["acquisition_channel", "region", "gender"] %}
    union all

    select
        users_with_stages.*,
        '{{ segment }}' as segment_type,
        coalesce({{ segment }}, 'unknown') as segment_value
    from users_with_stages
    {% endfor %}

),

counts as (

    select
        cohort_month,
        segment_type,
        segment_value,
        count(*) as acquired,
        count(*) as through_acquired,
        sum(is_activated) as activated,
        sum(is_retained) as retained,
        sum(is_paying) as paying,
        sum(is_referring) as referring,
        sum(is_activated) as through_activated,
        sum(is_activated * is_retained) as through_retained,
        sum(is_activated * is_retained * is_paying) as through_paying,
        sum(is_activated * is_retained * is_paying * is_referring) as through_referring
    from user_segments
    group by cohort_month, segment_type, segment_value

),

-- Orders may reach back further than events: of what users did besides buying before the first day with an event,
-- nothing has come. Where there are no events at all, orders are all there is to observe.
first_event_day as (

    select min(activity_date) as known_from
    from {{ ref("fct_user_days") }}
    where events > 0

),

known_activity as (

    select coalesce(max(first_event_day.known_from), min(users.first_active_date)) as known_from
    from {{ ref("dim_users") }} as users
    cross join first_event_day

),

counts_per_stage as (

    {% for stage in stages %}
    select
        cohort_month,
        segment_type,
        segment_value,
        {{ loop.index }} as stage_number,
        '{{ stage }}' as stage,
        acquired as acquired_users,
        {{ stage }} as users,
        through_{{ stage }} as users_through
    from counts
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select
    cohort_month,
    segment_type,
    segment_value,
    cast(stage_number as integer) as stage_number,
    stage,
    case stage
        when 'acquired' then '获取'
        when 'activated' then '激活'
        when 'retained' then '留存'
        when 'paying' then '变现'
        when 'referring' then '推荐'
    end as stage_zh,
    cast(users as bigint) as users,
    cast(users_through as bigint) as users_through,
    {{ share("users", "acquired_users") }} as share_of_acquired,
    {{ share("users_through", "coalesce(lag(users_through) over by_stage, users_through)") }} as step_conversion,
    {{ share("users_through", "acquired_users") }} as overall_conversion,
    {{ add_days(next_period_start("month", "cohort_month"), settings.horizon_days ~ " - 2") }} <= {{ as_of() }}
        as is_complete,
    coalesce(cohort_month >= (select known_activity.known_from from known_activity), false) as is_observed
from counts_per_stage
window by_stage as (
    partition by cohort_month, segment_type, segment_value
    order by stage_number
)
