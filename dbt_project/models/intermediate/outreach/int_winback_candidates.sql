{{ config(materialized="view") }}
{%- set settings = var("winback_list") %}

with

spells as (

    select * from {{ ref("int_churn_spells_by_date") }}

),

bands as (

    {{ winback_silence_bands_table() }}

),

steps as (

    {{ winback_silence_steps_table() }}

),

-- silences that lasted up to a step, and for which it is known by now whether the user came back in time
exposures as (

    select
        spells.as_of_date,
        steps.silence_step,
        spells.value_tier,
        coalesce(spells.channel, '') as channel,
        case
            when
                spells.returned_on
                <= {{ add_days("spells.last_active_date", "steps.from_days + " ~ settings.return_days) }}
                then 1
            else 0
        end as has_returned
    from spells
    inner join steps
        on
            {{ add_days("spells.last_active_date", "steps.from_days + " ~ settings.return_days) }} <= spells.as_of_date
            and (
                spells.returned_on is null
                or {{ add_days("spells.last_active_date", "steps.from_days") }} < spells.returned_on
            )

),

-- return rate of everybody; it starts from one return in ten silences, which soon weighs little
overall as (

    select
        dates.as_of_date,
        {{ share("coalesce(sum(exposures.has_returned), 0) + 1", "count(exposures.has_returned) + 10") }} as return_rate
    from {{ ref("int_list_dates") }} as dates
    left join exposures
        on dates.as_of_date = exposures.as_of_date
    group by dates.as_of_date

),

by_step as (

    select
        as_of_date,
        silence_step,
        count(*) as users,
        sum(has_returned) as returned
    from exposures
    group by as_of_date, silence_step

),

by_tier as (

    select
        as_of_date,
        silence_step,
        value_tier,
        count(*) as users,
        sum(has_returned) as returned
    from exposures
    group by as_of_date, silence_step, value_tier

),

by_channel as (

    select
        as_of_date,
        silence_step,
        value_tier,
        channel,
        count(*) as users,
        sum(has_returned) as returned
    from exposures
    group by as_of_date, silence_step, value_tier, channel

),

churned as (

    select
        spells.as_of_date,
        spells.user_id,
        spells.user_value,
        spells.value_tier,
        spells.last_active_date,
        {{ days_between("spells.last_active_date", "spells.as_of_date") }} as days_silent,
        spells.usual_gap_days,
        spells.default_gap_days,
        spells.channel,
        max(bands.silence_band) as silence_band,
        max(steps.silence_step) as silence_step
    from spells
    inner join bands
        on {{ add_days("spells.last_active_date", "bands.from_days") }} <= spells.as_of_date
    inner join steps
        on {{ add_days("spells.last_active_date", "steps.from_days") }} <= spells.as_of_date
    where
        spells.returned_on is null
        and {{ add_days("spells.as_of_date", "-" ~ settings.max_silence_days) }} <= spells.last_active_date
    group by
        spells.as_of_date, spells.user_id, spells.user_value, spells.value_tier, spells.last_active_date,
        spells.usual_gap_days, spells.default_gap_days, spells.channel

),

rated as (

    select
        churned.*,
        overall.return_rate as overall_rate,
        coalesce(by_step.users, 0) as by_step_users,
        coalesce(by_step.returned, 0) as by_step_returned,
        coalesce(by_tier.users, 0) as by_tier_users,
        coalesce(by_tier.returned, 0) as by_tier_returned,
        coalesce(by_channel.users, 0) as similar_users,
        coalesce(by_channel.returned, 0) as similar_returned
    from churned
    inner join overall
        on churned.as_of_date = overall.as_of_date
    left join by_step
        on
            churned.as_of_date = by_step.as_of_date
            and churned.silence_step = by_step.silence_step
    left join by_tier
        on
            churned.as_of_date = by_tier.as_of_date
            and churned.silence_step = by_tier.silence_step
            and churned.value_tier = by_tier.value_tier
    left join by_channel
        on
            churned.as_of_date = by_channel.as_of_date
            and churned.silence_step = by_channel.silence_step
            and churned.value_tier = by_channel.value_tier
            and coalesce(churned.channel, '') = by_channel.channel

),

-- the rate of a small group is uncertain, so it is pulled towards that of the larger group around it
step_rates as (

    select
        rated.*,
        (by_step_returned + {{ settings.prior_users }} * overall_rate) / (by_step_users + {{ settings.prior_users }})
            as step_rate
    from rated

),

tier_rates as (

    select
        step_rates.*,
        (by_tier_returned + {{ settings.prior_users }} * step_rate) / (by_tier_users + {{ settings.prior_users }})
            as tier_rate
    from step_rates

),

return_rates as (

    select
        tier_rates.*,
        (similar_returned + {{ settings.prior_users }} * tier_rate) / (similar_users + {{ settings.prior_users }})
            as return_probability
    from tier_rates

),

decisions as (

    {{ decisions_by_hand("winback") }}

)

select
    rates.as_of_date,
    rates.user_id,
    rates.return_probability,
    rates.user_value,
    rates.return_probability * rates.user_value as expected_value,
    rates.value_tier,
    -- a user whom the warning list may still hold is not lost yet
    rates.user_value > 0
    and (
        rates.days_silent >= {{ var("churn").active_window_days }}
        or {{ is_handed_over("rates.days_silent", "rates.usual_gap_days", "rates.default_gap_days") }}
    ) as can_enter,
    coalesce(decisions.action = 'add', false) as is_added_by_hand,
    coalesce(decisions.action = 'remove', false) as is_removed_by_hand,
    rates.last_active_date,
    rates.days_silent,
    rates.usual_gap_days,
    cast(rates.silence_band as integer) as silence_band,
    rates.channel,
    cast(rates.similar_users as bigint) as similar_users,
    cast(rates.similar_returned as bigint) as similar_returned
from return_rates as rates
left join decisions
    on
        rates.user_id = decisions.user_id
        and rates.as_of_date >= decisions.valid_from
        and (decisions.valid_until is null or rates.as_of_date <= decisions.valid_until)
