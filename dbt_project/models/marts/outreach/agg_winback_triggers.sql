{{
    config(
        materialized="incremental",
        incremental_strategy="append",
        on_schema_change="append_new_columns",
        pre_hook="{{ forget_list_dates() }}",
    )
}}

with

bands as (

    {{ winback_silence_bands_table() }}

),

returns as (

    select
        spells.as_of_date,
        spells.user_id,
        spells.returned_on,
        spells.value_tier,
        max(bands.silence_band) as silence_band
    from {{ ref("int_churn_spells_by_date") }} as spells
    inner join bands
        on {{ add_days("spells.last_active_date", "bands.from_days") }} < spells.returned_on
    where
        spells.returned_on is not null
        and {{ in_list_dates_to_write("spells.as_of_date") }}
    group by spells.as_of_date, spells.user_id, spells.returned_on, spells.value_tier

),

group_sizes as (

    select
        as_of_date,
        value_tier,
        silence_band,
        count(*) as similar_returns
    from returns
    group by as_of_date, value_tier, silence_band

),

counted as (

    select
        returns.as_of_date,
        returns.value_tier,
        returns.silence_band,
        triggers.trigger_kind,
        triggers.trigger_value,
        count(*) as returns_after
    from returns
    inner join {{ ref("int_return_triggers") }} as triggers
        on
            returns.user_id = triggers.user_id
            and returns.returned_on = triggers.returned_on
    group by
        returns.as_of_date, returns.value_tier, returns.silence_band, triggers.trigger_kind, triggers.trigger_value

)

select
    counted.as_of_date,
    counted.value_tier,
    cast(counted.silence_band as integer) as silence_band,
    {{ silence_band_name("counted.silence_band") }} as silence_days,
    counted.trigger_kind,
    counted.trigger_value,
    cast(counted.returns_after as bigint) as returns_after,
    cast(group_sizes.similar_returns as bigint) as similar_returns,
    {{ share("counted.returns_after", "group_sizes.similar_returns") }} as returns_share,
    cast(
        row_number() over (
            partition by counted.as_of_date, counted.value_tier, counted.silence_band, counted.trigger_kind
            order by counted.returns_after desc, counted.trigger_value
        ) as integer
    ) as kind_rank
from counted
inner join group_sizes
    on
        counted.as_of_date = group_sizes.as_of_date
        and counted.value_tier = group_sizes.value_tier
        and counted.silence_band = group_sizes.silence_band
