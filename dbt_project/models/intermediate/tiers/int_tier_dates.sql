{%- set tiers = var("tiers") -%}
{%- set weeks_from = add_days(as_of(), "-7 * " ~ tiers.judged_weeks) -%}

with

bounds as (

    select
        least(
            cast({{ dbt.dateadd("month", "-" ~ tiers.history_months, period_start("month", as_of())) }} as date),
            {{ weeks_from }}
        ) as first_date

),

days as (

    {{ date_spine("first_date", as_of(), "bounds") }}

)

select calendar_date as judged_on
from days
where
    calendar_date = {{ as_of() }}
    or (calendar_date > {{ weeks_from }} and {{ iso_weekday("calendar_date") }} = 7)
    or (
        calendar_date <= {{ weeks_from }}
        and {{ add_days("calendar_date", 1) }} = {{ period_start("month", add_days("calendar_date", 1)) }}
    )
