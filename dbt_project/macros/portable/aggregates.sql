{# Aggregates an engine spells in its own way, and keys. #}

{# Value of `expression`, where it is not null, in the row with the smallest `ordering`. #}
{% macro first_value_by(expression, ordering) -%}
    {{ return(adapter.dispatch("first_value_by", "userops")(expression, ordering)) }}
{%- endmacro %}

{% macro default__first_value_by(expression, ordering) -%}
    min_by({{ expression }}, {{ ordering }}) filter (where {{ expression }} is not null)
{%- endmacro %}

{% macro duckdb__first_value_by(expression, ordering) -%}
    arg_min({{ expression }}, {{ ordering }}) filter (where {{ expression }} is not null)
{%- endmacro %}


{# Value of `expression`, where it is not null, in the row with the largest `ordering`. #}
{% macro last_value_by(expression, ordering) -%}
    {{ return(adapter.dispatch("last_value_by", "userops")(expression, ordering)) }}
{%- endmacro %}

{% macro default__last_value_by(expression, ordering) -%}
    max_by({{ expression }}, {{ ordering }}) filter (where {{ expression }} is not null)
{%- endmacro %}

{% macro duckdb__last_value_by(expression, ordering) -%}
    arg_max({{ expression }}, {{ ordering }}) filter (where {{ expression }} is not null)
{%- endmacro %}


{# Text key of a list of columns. Each part carries its length, so that ('a', 'bc') and ('ab', 'c') differ. #}
{% macro hash_key(columns) -%}
    {%- set parts = [] -%}
    {%- for column in columns -%}
        {%- set text = "cast(" ~ column ~ " as " ~ dbt.type_string() ~ ")" -%}
        {%- do parts.append("coalesce(cast(length(" ~ text ~ ") as " ~ dbt.type_string() ~ "), '-')") -%}
        {%- do parts.append("':'") -%}
        {%- do parts.append("coalesce(" ~ text ~ ", '')") -%}
    {%- endfor -%}
    {{ dbt.hash(dbt.concat(parts)) }}
{%- endmacro %}
