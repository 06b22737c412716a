{# Counting periods: days, weeks (from Monday) and months. #}

{# Whole periods from one period's first day to a later period's first day, as an integer. #}
{% macro periods_between(grain, earlier_start, later_start) -%}
    {%- if grain == "month" -%}
        cast(
            (extract(year from {{ later_start }}) - extract(year from {{ earlier_start }})) * 12
            + extract(month from {{ later_start }}) - extract(month from {{ earlier_start }}) as integer
        )
    {%- elif grain == "week" -%}
        cast({{ days_between(earlier_start, later_start) }} / 7 as integer)
    {%- else -%}
        cast({{ days_between(earlier_start, later_start) }} as integer)
    {%- endif -%}
{%- endmacro %}


{# First day of the period that starts `number` periods (an expression, may be negative) after another one. #}
{% macro period_after(grain, period_start_expression, number) -%}
    {%- if grain == "month" -%}
        cast({{ dbt.dateadd("month", number, period_start_expression) }} as date)
    {%- elif grain == "week" -%}
        {{ add_days(period_start_expression, "7 * (" ~ number ~ ")") }}
    {%- else -%}
        {{ add_days(period_start_expression, number) }}
    {%- endif -%}
{%- endmacro %}


{# Table expression of the whole numbers from `first` to `last`: use as `from {{ whole_numbers(0, 3, "number") }}`. #}
{% macro whole_numbers(first, last, column) -%}
    (values {% for number in range(first, last | int + 1) %}({{ number }}){{ ", " if not loop.last }}{% endfor %}) as numbers ({{ column }})
{%- endmacro %}
