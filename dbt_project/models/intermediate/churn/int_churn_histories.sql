{#- Users who are no longer active are in here too: a model fitted on survivors alone would expect nobody to leave. -#}
with

user_histories as (

    select
        as_of_date,
        'active_days' as kind,
        user_id,
        count(*) - 1 as repeat_days,
        max(days_ago) - min(days_ago) as recency_days,
        max(days_ago) as age_days
    from {{ ref("int_churn_active_days") }}
    group by as_of_date, user_id
    union all
    select
        as_of_date,
        'order_days' as kind,
        user_id,
        count(*) - 1 as repeat_days,
        max(days_ago) - min(days_ago) as recency_days,
        max(days_ago) as age_days
    from {{ ref("int_churn_active_days") }}
    where is_order_day = 1
    group by as_of_date, user_id

)

select
    as_of_date,
    kind,
    repeat_days,
    recency_days,
    age_days,
    count(*) as users
from user_histories
group by as_of_date, kind, repeat_days, recency_days, age_days
