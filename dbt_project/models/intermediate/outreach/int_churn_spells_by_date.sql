{{ config(materialized="view") }}

with

-- silences that counted as a churn by the date; a return after the date is not known yet
known_spells as (

    select
        dates.as_of_date,
        dates.default_gap_days,
        spells.user_id,
        spells.last_active_date,
        case when spells.returned_on <= dates.as_of_date then spells.returned_on end as returned_on,
        spells.usual_gap_days,
        spells.user_value,
        spells.channel
    from {{ ref("int_list_dates") }} as dates
    inner join {{ ref("int_churn_spells") }} as spells
        on
            {{ add_days("dates.as_of_date", "-" ~ var("lifecycle").churned_after_days) }} >= spells.last_active_date
            and {{ add_days("dates.as_of_date", "-" ~ var("winback_list").lookback_days) }} < spells.last_active_date

),

ranked as (

    select
        known_spells.*,
        {{ list_value_ranks("user_value", "user_id, last_active_date") }}
    from known_spells

)

select
    as_of_date,
    default_gap_days,
    user_id,
    last_active_date,
    returned_on,
    usual_gap_days,
    user_value,
    {{ list_value_tier("user_value") }} as value_tier,
    channel
from ranked
