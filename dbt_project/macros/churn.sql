{# Sample standard deviation from integer sums: exact in any row order, unlike a running one. Null below two values. #}
{% macro exact_stddev(column) -%}
    sqrt(
        greatest(
            cast(count({{ column }}) * sum({{ column }} * {{ column }}) - sum({{ column }}) * sum({{ column }}) as double), 0
        ) / nullif(cast(count({{ column }}) * (count({{ column }}) - 1) as double), 0)
    )
{%- endmacro %}


{# 1 on Monday to Friday, else 0. #}
{% macro is_weekday(date_expression) -%}
    {{ return(adapter.dispatch("is_weekday", "userops")(date_expression)) }}
{%- endmacro %}

{% macro default__is_weekday(date_expression) -%}
    case when dayofweek({{ date_expression }}) in (1, 7) then 0 else 1 end
{%- endmacro %}

{% macro duckdb__is_weekday(date_expression) -%}
    case when isodow({{ date_expression }}) >= 6 then 0 else 1 end
{%- endmacro %}


{# One row per observation date of this run. #}
{% macro observation_dates() %}
    {% for requested_date in var("feature_dates") %}
    select cast('{{ requested_date }}' as date) as as_of_date
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
{% endmacro %}


{# Pre-hook of int_churn_features: delete the dates about to be rebuilt, and dates that are older than anybody needs.
   Yesterday's features are kept, so that a training between the features and the scoring of a daily run does not
   delete what the scoring needs. #}
{% macro forget_churn_features() %}
    {% if is_incremental() %}
    delete from {{ this }}
    where
        as_of_date < {{ add_days(as_of(), -1) }}
        or as_of_date in ({{ date_literals(var("feature_dates")) }})
    {% endif %}
{% endmacro %}


{#
    Dates of a table with one block of rows per scored date that have to be written (again): the date of this run, dates
    whose model version is not the one in `scores`, dates that have left `scores`. None on a first or full run. Fetched
    while compiling, so that only the files of these dates are read.
#}
{% macro churn_dates_to_write(scores) %}
    {% if not execute or not is_incremental() %}{{ return(none) }}{% endif %}
    {% set dates = [var("as_of_date")] %}
    {% set stored = "select distinct as_of_date, model_version from " ~ this %}
    {% set current = "select distinct as_of_date, model_version from " ~ scores ~ " where " ~ up_to_as_of("as_of_date") %}
    {% for row in run_query(
        "select distinct as_of_date from ((" ~ stored ~ " except " ~ current ~ ") union all ("
        ~ current ~ " except " ~ stored ~ ")) as differing order by as_of_date"
    ) %}
        {% if row[0] | string not in dates %}{% do dates.append(row[0] | string) %}{% endif %}
    {% endfor %}
    {{ return(dates) }}
{% endmacro %}


{# Condition: the date is one of those to write. #}
{% macro in_churn_dates_to_write(scores) -%}
    {%- set dates = churn_dates_to_write(scores) -%}
    {{ up_to_as_of("as_of_date") }}
    {%- if dates is not none %} and as_of_date in ({{ date_literals(dates) }}){% endif %}
{%- endmacro %}


{# Pre-hook of such a table: delete the dates to write, and everything after the as-of date. #}
{% macro forget_churn_dates(scores) %}
    {%- set dates = churn_dates_to_write(scores) -%}
    {% if dates is not none %}
    delete from {{ this }}
    where
        as_of_date > {{ as_of() }}
        or as_of_date in ({{ date_literals(dates) }})
    {% endif %}
{% endmacro %}


{# Band of a churn probability: high, medium or low (`warning_list.high_risk`, `medium_risk`). #}
{% macro risk_band(churn_probability) -%}
    {%- set settings = var("warning_list") -%}
    case
        when {{ churn_probability }} >= {{ settings.high_risk }} then 'high'
        when {{ churn_probability }} >= {{ settings.medium_risk }} then 'medium'
        else 'low'
    end
{%- endmacro %}
