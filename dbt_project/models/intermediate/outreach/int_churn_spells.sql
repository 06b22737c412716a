{%- set value_days = var("churn").value_window_days -%}

with

spells as (

    select
        rhythm.user_id,
        rhythm.activity_date as last_active_date,
        rhythm.next_active_date as returned_on,
        {{ mean_gap_days("rhythm") }} as usual_gap_days
    from {{ ref("int_user_rhythm") }} as rhythm
    where
        {{ days_between(
            "rhythm.activity_date", "coalesce(rhythm.next_active_date, " ~ add_days(as_of(), 1) ~ ")"
        ) }}
        > {{ var("lifecycle").churned_after_days }}

),

habits as (

    {{ habits_before_silence("spells", ["user_id", "last_active_date"]) }}

),

-- refunds make no active day, so those between the last active day and the churn are subtracted, too
net_revenues as (

    select
        spells.user_id,
        spells.last_active_date,
        sum(orders.net_amount) as net_revenue
    from spells
    inner join {{ ref("fct_orders") }} as orders
        on
            spells.user_id = orders.user_id
            and {{ add_days("spells.last_active_date", "-" ~ value_days) }} < orders.order_date
            and {{ add_days("spells.last_active_date", var("lifecycle").churned_after_days) }} >= orders.order_date
    where not orders.is_cancelled
    group by spells.user_id, spells.last_active_date

),

business as (

    select max(orders) > 0 as has_revenue
    from {{ ref("fct_user_days") }}

)

select
    spells.user_id,
    spells.last_active_date,
    spells.returned_on,
    spells.usual_gap_days,
    case
        when not business.has_revenue then cast(habits.active_days as double)
        when net_revenues.net_revenue > 0
            then cast(net_revenues.net_revenue as double) * {{ var("churn").horizon_days }} / {{ value_days }}
        else cast(0 as double)
    end as user_value,
    habits.channel
from spells
cross join business
left join habits
    on
        spells.user_id = habits.user_id
        and spells.last_active_date = habits.last_active_date
left join net_revenues
    on
        spells.user_id = net_revenues.user_id
        and spells.last_active_date = net_revenues.last_active_date
