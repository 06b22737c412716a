{# Hints that change how fast a query runs, and nothing else. An engine that does not know one gets none. #}

{# Behind `as` of a CTE that is read several times: each reader reads its own columns and rows of the tables below, where
   writing the CTE down first would copy all of them. #}
{% macro not_materialized() -%}
    {{ return(adapter.dispatch("not_materialized", "userops")()) }}
{%- endmacro %}

{% macro default__not_materialized() -%}
{%- endmacro %}

{% macro duckdb__not_materialized() -%}
    not materialized
{%- endmacro %}


{# The opposite: what is read several times is worked out once. #}
{% macro worked_out_once() -%}
    {{ return(adapter.dispatch("worked_out_once", "userops")()) }}
{%- endmacro %}

{% macro default__worked_out_once() -%}
{%- endmacro %}

{% macro duckdb__worked_out_once() -%}
    materialized
{%- endmacro %}
