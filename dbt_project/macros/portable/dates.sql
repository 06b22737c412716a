{# Dates. Everything an engine spells in its own way goes through one dispatched macro here. #}

{% macro as_of() -%}
    cast('{{ var("as_of_date") }}' as date)
{%- endmacro %}


{% macro up_to_as_of(business_date) -%}
    {{ business_date }} <= {{ as_of() }}
{%- endmacro %}


{# Condition: a version written at this UTC time (null: nobody says when) was known by the end of the as-of date. Written
   as a comparison with one moment, so that the engine can skip what is later without looking at each row's local date. #}
{% macro known_by_as_of(updated_at) -%}
    ({{ updated_at }} is null or {{ updated_at }} < {{ end_of_day(as_of()) }})
{%- endmacro %}


{#
    Order of the versions of one thing, the one that counts first: of those known by the as-of date the latest. Where none
    was, the earliest written later: many exports keep only the newest version, and what was changed after midnight was
    there the day before, too. Equal times go by a hash, so that the choice never depends on arrival.
#}
{% macro counting_version_first(written, row_hash) -%}
    case when {{ known_by_as_of(written) }} then 0 else 1 end,
            case when {{ known_by_as_of(written) }} then {{ written }} end desc nulls last,
            {{ written }},
            {{ row_hash }} desc
{%- endmacro %}


{# The UTC timestamp at which a date ends in the project's time zone. #}
{% macro end_of_day(date_expression) -%}
    {{ return(adapter.dispatch("end_of_day", "userops")(date_expression)) }}
{%- endmacro %}

{% macro default__end_of_day(date_expression) -%}
    to_utc_timestamp(cast({{ add_days(date_expression, 1) }} as timestamp), '{{ var("timezone") }}')
{%- endmacro %}

{% macro duckdb__end_of_day(date_expression) -%}
    ((cast({{ add_days(date_expression, 1) }} as timestamp) at time zone '{{ var("timezone") }}') at time zone 'UTC')
{%- endmacro %}


{# Local date, in the project's time zone, of a UTC timestamp: its business date. #}
{% macro local_date(utc_timestamp) -%}
    cast({{ local_time(utc_timestamp) }} as date)
{%- endmacro %}


{# Wall-clock time, in the project's time zone, of a UTC timestamp. #}
{% macro local_time(utc_timestamp) -%}
    {{ return(adapter.dispatch("local_time", "userops")(utc_timestamp)) }}
{%- endmacro %}

{% macro default__local_time(utc_timestamp) -%}
    from_utc_timestamp({{ utc_timestamp }}, '{{ var("timezone") }}')
{%- endmacro %}

{% macro duckdb__local_time(utc_timestamp) -%}
    (({{ utc_timestamp }} at time zone 'UTC') at time zone '{{ var("timezone") }}')
{%- endmacro %}


{# A date moved by a number of days (a literal or an expression); stays a date. #}
{% macro add_days(date_expression, days) -%}
    {{ return(adapter.dispatch("add_days", "userops")(date_expression, days)) }}
{%- endmacro %}

{% macro default__add_days(date_expression, days) -%}
    date_add({{ date_expression }}, cast({{ days }} as int))
{%- endmacro %}

{% macro duckdb__add_days(date_expression, days) -%}
    ({{ date_expression }} + cast({{ days }} as integer))
{%- endmacro %}


{# Whole days from one date to a later one, as an integer. #}
{% macro days_between(earlier, later) -%}
    {{ return(adapter.dispatch("days_between", "userops")(earlier, later)) }}
{%- endmacro %}

{% macro default__days_between(earlier, later) -%}
    cast(datediff({{ later }}, {{ earlier }}) as bigint)
{%- endmacro %}

{% macro duckdb__days_between(earlier, later) -%}
    date_diff('day', {{ earlier }}, {{ later }})
{%- endmacro %}


{# Whole seconds from one timestamp to a later one, fractions dropped. #}
{% macro seconds_between(earlier, later) -%}
    {{ return(adapter.dispatch("seconds_between", "userops")(earlier, later)) }}
{%- endmacro %}

{% macro default__seconds_between(earlier, later) -%}
    (unix_timestamp({{ later }}) - unix_timestamp({{ earlier }}))
{%- endmacro %}

{% macro duckdb__seconds_between(earlier, later) -%}
    date_sub('second', {{ earlier }}, {{ later }})
{%- endmacro %}


{# A timestamp moved by a number of seconds (a literal or an expression). #}
{% macro add_seconds(timestamp_expression, seconds) -%}
    {{ return(adapter.dispatch("add_seconds", "userops")(timestamp_expression, seconds)) }}
{%- endmacro %}

{% macro default__add_seconds(timestamp_expression, seconds) -%}
    ({{ timestamp_expression }} + make_interval(0, 0, 0, 0, 0, 0, {{ seconds }}))
{%- endmacro %}

{% macro duckdb__add_seconds(timestamp_expression, seconds) -%}
    ({{ timestamp_expression }} + to_seconds({{ seconds }}))
{%- endmacro %}


{# First day of the day, week (Monday) or month that holds a date, as a date. #}
{% macro period_start(grain, date_expression) -%}
    cast({{ dbt.date_trunc(grain, date_expression) }} as date)
{%- endmacro %}


{# First day of the period that follows the one starting at a date, as a date. #}
{% macro next_period_start(grain, period_start_expression) -%}
    {%- if grain == "month" -%}
        cast({{ dbt.dateadd("month", 1, period_start_expression) }} as date)
    {%- else -%}
        {{ add_days(period_start_expression, 7 if grain == "week" else 1) }}
    {%- endif -%}
{%- endmacro %}


{# One row per day, both ends included, for each row of a relation that holds the two dates; column `calendar_date`. #}
{% macro date_spine(first_date, last_date, bounds_relation) -%}
    {{ return(adapter.dispatch("date_spine", "userops")(first_date, last_date, bounds_relation)) }}
{%- endmacro %}

{% macro default__date_spine(first_date, last_date, bounds_relation) -%}
    select explode(sequence({{ first_date }}, {{ last_date }}, interval 1 day)) as calendar_date
    from {{ bounds_relation }}
{%- endmacro %}

{% macro duckdb__date_spine(first_date, last_date, bounds_relation) -%}
    select cast(unnest(generate_series({{ first_date }}, {{ last_date }}, interval 1 day)) as date) as calendar_date
    from {{ bounds_relation }}
{%- endmacro %}


{# Day of the week of a date, 1 = Monday to 7 = Sunday. #}
{% macro iso_weekday(date_expression) -%}
    {{ return(adapter.dispatch("iso_weekday", "userops")(date_expression)) }}
{%- endmacro %}

{% macro default__iso_weekday(date_expression) -%}
    (weekday({{ date_expression }}) + 1)
{%- endmacro %}

{% macro duckdb__iso_weekday(date_expression) -%}
    isodow({{ date_expression }})
{%- endmacro %}


{# Completed years from one date to another. #}
{% macro years_between(earlier, later) -%}
    cast(floor(({{ date_as_number(later) }} - {{ date_as_number(earlier) }}) / 10000.0) as integer)
{%- endmacro %}


{# A date as a number whose digits are year, month, day. #}
{% macro date_as_number(day) -%}
    (extract(year from {{ day }}) * 10000 + extract(month from {{ day }}) * 100 + extract(day from {{ day }}))
{%- endmacro %}


{# A list of dates (texts) as SQL literals. #}
{% macro date_literals(dates) -%}
    cast('{{ dates | join("' as date), cast('") }}' as date)
{%- endmacro %}
