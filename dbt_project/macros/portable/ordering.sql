{# One value that puts rows in the order of several columns: ties of the first are broken by the second, and so on. #}
{% macro ordered_by(columns) -%}
    {{ return(adapter.dispatch("ordered_by", "userops")(columns)) }}
{%- endmacro %}

{% macro default__ordered_by(columns) -%}
    struct({{ columns | join(", ") }})
{%- endmacro %}

{% macro duckdb__ordered_by(columns) -%}
    row({{ columns | join(", ") }})
{%- endmacro %}
