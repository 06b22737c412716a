with

-- the range of all dates in the marts; a touch or a rating may be older than the first trace of its user
first_days as (

    select min(first_seen_date) as first_date
    from {{ ref("dim_users") }}

    union all

    select min(order_date) as first_date
    from {{ ref("fct_orders") }}

    union all

    select min(feedback_date) as first_date
    from {{ ref("fct_feedback") }}

    union all

    select min(touch_date) as first_date
    from {{ ref("fct_campaign_touches") }}

),

bounds as (

    select min(first_date) as first_date
    from first_days

),

all_days as (

    {{ date_spine("first_date", as_of(), "bounds") }}

),

-- an ISO week belongs to the year of its Thursday
days_with_thursday as (

    select
        calendar_date,
        {{ period_start("week", "calendar_date") }} as week_start,
        {{ add_days(period_start("week", "calendar_date"), 3) }} as thursday
    from all_days

),

numbered_days as (

    select
        days_with_thursday.*,
        cast({{ days_between("week_start", "calendar_date") }} + 1 as integer) as weekday_number,
        {{ days_between(period_start("year", "thursday"), "thursday") }} as thursdays_day_of_year
    from days_with_thursday

)

select
    calendar_date,
    cast(extract(year from calendar_date) as integer) as calendar_year,
    cast(extract(quarter from calendar_date) as integer) as calendar_quarter,
    cast(extract(month from calendar_date) as integer) as calendar_month,
    cast(extract(day from calendar_date) as integer) as day_of_month,
    {{ period_start("month", "calendar_date") }} as month_start,
    week_start,
    cast(extract(year from thursday) as integer) as iso_year,
    cast(floor(thursdays_day_of_year / 7) as integer) + 1 as iso_week,
    weekday_number,
    case weekday_number
        {% for name in ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"] %}
        when {{ loop.index }} then '{{ name }}'
        {% endfor %}
    end as weekday_en,
    case weekday_number
        {% for name in ["星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"] %}
        when {{ loop.index }} then '{{ name }}'
        {% endfor %}
    end as weekday_zh,
    weekday_number >= 6 as is_weekend
from numbered_days
