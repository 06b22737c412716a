{{ config(materialized="view") }}

with

-- silences that were a churn by then, and how they had ended by then
known_spells as (

    select
        dates.as_of_date,
        dates.default_gap_days,
        spells.user_id,
        spells.last_active_date,
        case when spells.returned_on <= dates.as_of_date then spells.returned_on end as returned_on,
        spells.usual_gap_days,
        spells.user_value,
        spells.channel,
        percent_rank() over (partition by dates.as_of_date order by spells.user_value) as value_rank
    from {{ ref("int_list_dates") }} as dates
    inner join {{ ref("int_churn_spells") }} as spells
        on
            {{ add_days("dates.as_of_date", "-" ~ var("lifecycle").churned_after_days) }} >= spells.last_active_date
            and {{ add_days("dates.as_of_date", "-" ~ var("winback_list").lookback_days) }} < spells.last_active_date

)

select
    as_of_date,
    default_gap_days,
    user_id,
    last_active_date,
    returned_on,
    usual_gap_days,
    user_value,
    case
        when user_value <= 0 then 'low'
        when value_rank >= 0.8 then 'high'
        when value_rank >= 0.5 then 'medium'
        else 'low'
    end as value_tier,
    channel
from known_spells
