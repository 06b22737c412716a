{# Periods that retention is followed for, by grain: (grain, last period number). #}
{% macro retention_grains() -%}
    {%- set settings = var("retention") -%}
    {{ return([("day", settings.max_days), ("week", settings.max_weeks), ("month", settings.max_months)]) }}
{%- endmacro %}


{#
    Periods of int_retention_returns that depend on dates rebuilt upstream: those that hold the dates, and, of active
    days, those from which people look back on them. The former also where they lie after the as-of date: after a run
    for an earlier date their rows have to go.
#}
{% macro periods_that_look_back_on_touched_dates() -%}
    {%- for grain, last_number in retention_grains() %}
    {%- set own_period = period_start(grain, "touched.business_date") %}
    {%- set later_period = period_after(grain, own_period, "numbers.period_number") %}
    {%- for followed_model in ["fct_user_days", "int_user_segments"] %}
    select {{ own_period }} as business_date
    from ({{ dates_rebuilt_by(followed_model) }}) as touched

    union all
    {% endfor %}
    select {{ later_period }} as business_date
    from ({{ dates_rebuilt_by("fct_user_days") }}) as touched
    cross join {{ whole_numbers(1, last_number, "period_number") }}
    where {{ up_to_as_of(later_period) }}
    {{ "union all" if not loop.last }}
    {%- endfor %}
{%- endmacro %}
