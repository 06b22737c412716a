{#
    A number in [0, 1) that a text is drawn by: evenly spread, the same for the same text on every engine (the first 32
    bits of its MD5).
#}
{% macro drawn_share(text_expression) -%}
    {{ return(adapter.dispatch("drawn_share", "userops")(text_expression)) }}
{%- endmacro %}

{% macro default__drawn_share(text_expression) -%}
    (cast(conv(substr(md5({{ text_expression }}), 1, 8), 16, 10) as double) / 4294967296.0)
{%- endmacro %}

{% macro duckdb__drawn_share(text_expression) -%}
    (cast(cast('0x' || substr(md5({{ text_expression }}), 1, 8) as bigint) as double) / 4294967296.0)
{%- endmacro %}
