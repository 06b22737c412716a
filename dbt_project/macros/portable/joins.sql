{#
    Left join of the one row of `relation` (aliased `alias`) that is valid at `moment`: same `key`, and the latest
    `valid_from` that is not after it. The relation has columns valid_from (included) and valid_to (excluded, null: open).
#}
{% macro left_join_valid_at(relation, alias, key, own_key, moment) -%}
    {{ return(adapter.dispatch("left_join_valid_at", "userops")(relation, alias, key, own_key, moment)) }}
{%- endmacro %}

{% macro default__left_join_valid_at(relation, alias, key, own_key, moment) -%}
    left join {{ relation }} as {{ alias }}
        on
            {{ own_key }} = {{ alias }}.{{ key }}
            and {{ moment }} >= {{ alias }}.valid_from
            and ({{ moment }} < {{ alias }}.valid_to or {{ alias }}.valid_to is null)
{%- endmacro %}

{# An equality with a range is a hash join on the key alone: 10 M events times a thousand daily rates.
   The engine's own as-of join sorts once. #}
{% macro duckdb__left_join_valid_at(relation, alias, key, own_key, moment) -%}
    asof left join {{ relation }} as {{ alias }}
        on
            {{ own_key }} = {{ alias }}.{{ key }}
            and {{ moment }} >= {{ alias }}.valid_from
{%- endmacro %}
