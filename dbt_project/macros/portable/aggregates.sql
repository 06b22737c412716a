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


{#
    Aggregate: how many different texts a group has, nulls left out. For many small groups, where an engine's own count of
    different values keeps every group's values in one large table.
#}
{% macro distinct_texts(expression) -%}
    {{ return(adapter.dispatch("distinct_texts", "userops")(expression)) }}
{%- endmacro %}

{% macro default__distinct_texts(expression) -%}
    count(distinct {{ expression }})
{%- endmacro %}

{# Texts are told apart by 64 bits of hash: of a hundred thousand texts in one group, two different ones are taken for
   one with a probability of 3 in ten billion. #}
{% macro duckdb__distinct_texts(expression) -%}
    coalesce(len(list_distinct(list(hash({{ expression }})) filter (where {{ expression }} is not null))), 0)
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


{# A whole number made of texts: equal ones have equal numbers, and different ones hardly ever do. To look for what may
   be equal, which is then compared itself. #}
{% macro text_fingerprint(expressions) -%}
    {{ return(adapter.dispatch("text_fingerprint", "userops")(expressions)) }}
{%- endmacro %}

{% macro default__text_fingerprint(expressions) -%}
    xxhash64({{ expressions | join(", ") }})
{%- endmacro %}

{% macro duckdb__text_fingerprint(expressions) -%}
    hash({{ expressions | join(", ") }})
{%- endmacro %}
