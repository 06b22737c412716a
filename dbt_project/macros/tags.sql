{# A text as a literal, with its quotes doubled. #}
{% macro text_literal(value) -%}
    '{{ value | string | replace("'", "''") }}'
{%- endmacro %}


{% macro text_literals(values) -%}
    {%- set literals = [] -%}
    {%- for value in values -%}
        {%- do literals.append(text_literal(value)) -%}
    {%- endfor -%}
    {{ literals | join(", ") }}
{%- endmacro %}


{#
    The configured tags (config/tags.yml), read from the control table: a list of {id, name_en, name_zh, group, shows,
    conditions: [{column, type, operator, values}]}. Columns, operators and values were checked against the contract of
    dim_user_personas when the table was written.
#}
{% macro tag_definitions() %}
    {% set tags = [] %}
    {% if not execute %}{{ return(tags) }}{% endif %}
    {% for row in run_query(
        "select tag_id, tag_name_en, tag_name_zh, tag_group, shown_column, condition_number, column_name, value_type, "
        ~ "operator, value from " ~ source("lake_control", "tag_definitions")
        ~ " order by tag_id, condition_number, value_number"
    ) %}
        {% if not tags or tags[-1].id != row[0] %}
            {% do tags.append({
                "id": row[0], "name_en": row[1], "name_zh": row[2], "group": row[3], "shows": row[4], "conditions": [],
            }) %}
        {% endif %}
        {% set conditions = tags[-1].conditions %}
        {% if not conditions or conditions[-1].number != row[5] %}
            {% do conditions.append({
                "number": row[5], "column": row[6], "type": row[7], "operator": row[8], "values": [],
            }) %}
        {% endif %}
        {% if row[9] is not none %}{% do conditions[-1]["values"].append(row[9]) %}{% endif %}
    {% endfor %}
    {{ return(tags) }}
{% endmacro %}


{# Columns of which rules use the top share. #}
{% macro ranked_tag_columns(tags) %}
    {% set columns = [] %}
    {% for condition in tags | map(attribute="conditions") | sum(start=[]) if condition.operator == "top_share" %}
        {% if condition.column not in columns %}{% do columns.append(condition.column) %}{% endif %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}


{# One condition of a rule as SQL. Ranks for top shares are in extra columns beside those of the persona. #}
{% macro tag_condition(condition) -%}
    {%- set column = adapter.quote(condition.column) -%}
    {%- set literals = [] -%}
    {%- for value in condition["values"] -%}
        {%- do literals.append(tag_literal(value, condition.type)) -%}
    {%- endfor -%}
    {%- if condition.operator in ["=", "!=", ">=", ">", "<=", "<"] -%}
        {{ column }} {{ condition.operator | replace("!=", "<>") }} {{ literals[0] }}
    {%- elif condition.operator == "in" -%}
        {{ column }} in ({{ literals | join(", ") }})
    {%- elif condition.operator == "not_in" -%}
        {{ column }} not in ({{ literals | join(", ") }})
    {%- elif condition.operator == "between" -%}
        {{ column }} between {{ literals[0] }} and {{ literals[1] }}
    {%- elif condition.operator == "is_null" -%}
        {{ column }} is null
    {%- elif condition.operator == "is_not_null" -%}
        {{ column }} is not null
    {%- elif condition.operator in ["is_true", "is_false"] -%}
        {{ "not " if condition.operator == "is_false" }}{{ column }}
    {%- elif condition.operator == "top_share" -%}
        {{ column }} > 0
        and {{ adapter.quote(condition.column ~ "_place") }} <= ceil(
            {{ adapter.quote(condition.column ~ "_ranked") }} * cast({{ text_literal(condition["values"][0]) }} as decimal(9, 6))
        )
    {%- else -%}
        {{ exceptions.raise_compiler_error("tag_definitions: found operator " ~ condition.operator ~ "; expected one of config/tags.yml") }}
    {%- endif -%}
{%- endmacro %}


{# A value of a rule as a literal of its column's type. #}
{% macro tag_literal(value, value_type) -%}
    {%- set types = {"text": dbt.type_string(), "number": "double", "date": "date", "boolean": "boolean"} -%}
    cast({{ text_literal(value) }} as {{ types[value_type] }})
{%- endmacro %}
