with

purchases as (

    select
        user_id,
        order_date,
        row_number() over (partition by user_id order by ordered_at, order_id) as purchase_number
    from {{ ref("fct_orders") }}
    where
        is_purchase
        and user_id is not null

),

buyers as (

    select
        user_id,
        min(case when purchase_number = 1 then order_date end) as first_purchase_date,
        min(case when purchase_number = 2 then order_date end) as second_purchase_date
    from purchases
    where purchase_number <= 2
    group by user_id

),

buyers_in_cohorts as (

    select
        {{ period_start("month", "buyers.first_purchase_date") }} as cohort_month,
        coalesce(users.acquisition_channel, 'unknown') as acquisition_channel,
        {{ days_between("buyers.first_purchase_date", "buyers.second_purchase_date") }} as days_to_second
    from buyers
    inner join {{ ref("dim_users") }} as users
        on buyers.user_id = users.user_id

),

buyers_of_segments as (

    {% for segment_type in retention_segment_types() %}
    select
        '{{ segment_type }}' as segment_type,
        {{ segment_value(segment_type) }} as segment_value,
        cohort_month,
        days_to_second
    from buyers_in_cohorts
    {{ "union all" if not loop.last }}
    {% endfor %}

),

by_horizon as (

    {% for horizon in var("retention").repeat_purchase_days %}
    select
        cohort_month,
        segment_type,
        segment_value,
        {{ horizon }} as horizon_days,
        count(*) as buyers,
        sum(case when days_to_second <= {{ horizon }} then 1 else 0 end) as repeat_buyers,
        {{ median_of("case when days_to_second <= " ~ horizon ~ " then days_to_second end") }} as median_days_to_second
    from buyers_of_segments
    group by cohort_month, segment_type, segment_value
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select
    cohort_month,
    segment_type,
    segment_value,
    cast(horizon_days as integer) as horizon_days,
    cast(buyers as bigint) as buyers,
    cast(repeat_buyers as bigint) as repeat_buyers,
    {{ share("repeat_buyers", "buyers") }} as repeat_rate,
    median_days_to_second,
    {{ add_days(next_period_start("month", "cohort_month"), "horizon_days - 1") }} <= {{ as_of() }} as is_complete
from by_horizon
