{# The dates that lists are made for. #}

{#
    Dates that a model with one block of rows per list date has to write, in order: scored dates after the last stored
    one, and always the as-of date. A list that was handed out is made again only by running its own date again.
#}
{% macro list_dates_to_write() %}
    {% set scores = ref("fct_churn_scores") %}
    {% if not execute %}{{ return([var("as_of_date")]) }}{% endif %}
    {% set dates = [] %}
    {% set held = "" %}
    {% if is_incremental() %}
        {% set held = " and as_of_date > coalesce((select max(as_of_date) from " ~ this
            ~ " where as_of_date < " ~ as_of() ~ "), cast('1970-01-01' as date))" %}
    {% endif %}
    {% for row in run_query(
        "select distinct as_of_date from " ~ scores
        ~ " where as_of_date < " ~ as_of() ~ held ~ " order by as_of_date"
    ) %}
        {% do dates.append(row[0] | string) %}
    {% endfor %}
    {% do dates.append(var("as_of_date")) %}
    {{ return(dates) }}
{% endmacro %}


{# Condition: the date is one of those to write. #}
{% macro in_list_dates_to_write(as_of_column) -%}
    {{ as_of_column }} in ({{ date_literals(list_dates_to_write()) }})
{%- endmacro %}


{# Pre-hook of such a model: delete the as-of date and everything after it. #}
{% macro forget_list_dates() %}
    {% if is_incremental() %}
    delete from {{ this }}
    where as_of_date >= {{ as_of() }}
    {% endif %}
{% endmacro %}
