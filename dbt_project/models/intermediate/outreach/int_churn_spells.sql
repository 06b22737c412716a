{%- set value_days = var("churn").value_window_days -%}

with

spells as (

    select
        user_id,
        activity_date as last_active_date,
        next_active_date as returned_on,
        case
            when active_days_so_far >= 3
                then {{ share(days_between("first_active_date", "activity_date"), "(active_days_so_far - 1)") }}
        end as usual_gap_days
    from {{ ref("int_user_rhythm") }}
    where
        {{ days_between("activity_date", "coalesce(next_active_date, " ~ add_days(as_of(), 1) ~ ")") }}
        > {{ var("lifecycle").churned_after_days }}

),

days_before as (

    select
        spells.user_id,
        spells.last_active_date,
        days.net_revenue,
        days.primary_channel,
        {{ days_between("days.activity_date", "spells.last_active_date") }} as days_earlier
    from spells
    inner join {{ ref("fct_user_days") }} as days
        on
            spells.user_id = days.user_id
            and spells.last_active_date >= days.activity_date
            and {{ add_days("spells.last_active_date", "-greatest(" ~ value_days ~ ", 90)") }} < days.activity_date

),

worths as (

    select
        user_id,
        last_active_date,
        sum(case when days_earlier < {{ value_days }} then net_revenue end) as net_revenue,
        sum(case when days_earlier < 90 then 1 else 0 end) as active_days
    from days_before
    group by user_id, last_active_date

),

channels as (

    select
        user_id,
        last_active_date,
        primary_channel,
        row_number() over (
            partition by user_id, last_active_date
            order by count(*) desc, primary_channel
        ) as channel_rank
    from days_before
    where
        days_earlier < 90
        and primary_channel is not null
    group by user_id, last_active_date, primary_channel

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
        when not business.has_revenue then cast(worths.active_days as double)
        when worths.net_revenue > 0
            then cast(worths.net_revenue as double) * {{ var("churn").horizon_days }} / {{ value_days }}
        else cast(0 as double)
    end as user_value,
    channels.primary_channel as channel
from spells
cross join business
left join worths
    on
        spells.user_id = worths.user_id
        and spells.last_active_date = worths.last_active_date
left join channels
    on
        spells.user_id = channels.user_id
        and spells.last_active_date = channels.last_active_date
        and channels.channel_rank = 1
