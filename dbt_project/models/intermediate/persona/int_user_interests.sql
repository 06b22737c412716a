with

last_days as (

    select
        user_id,
        last_active_date
    from {{ ref("int_user_preferences") }}

),

-- cancelled orders count, too: they show the same interest
bought_lines as (

    select
        user_id,
        category,
        order_date
    from {{ ref("fct_order_items") }}
    where
        category is not null
        and line_amount > 0

),

scores as (

    select
        user_id,
        category,
        score
    from {{ ref("int_user_event_interests") }}

    union all

    select
        bought_lines.user_id,
        bought_lines.category,
        {{ var("persona").interest_weights.order_line }}
        * {{ decayed_millionths("bought_lines.order_date", "last_days.last_active_date") }} as score
    from bought_lines
    inner join last_days
        on bought_lines.user_id = last_days.user_id
    where
        bought_lines.order_date > {{ add_days("last_days.last_active_date", "-" ~ var("persona").window_days) }}
        and bought_lines.order_date <= last_days.last_active_date

),

category_scores as (

    select
        user_id,
        category,
        sum(score) as score
    from scores
    group by user_id, category

),

-- shares do not depend on the date they are computed on, as all of a user's traces decay by the same factor per day
ranked as (

    select
        user_id,
        category,
        score,
        sum(score) over (partition by user_id) as user_score,
        row_number() over (partition by user_id order by score desc, category) as interest_rank
    from category_scores

)

select
    user_id,
    cast(interest_rank as integer) as interest_rank,
    category,
    {{ share("score", "user_score") }} as interest_share
from ranked
where interest_rank <= 3
