{#
    Lists, which every engine spells in its own way: DuckDB's list_... functions, Spark's arrays and higher-order
    functions.

    Positions count from 1. Where a macro takes an `element` and an expression, the expression is written in terms of
    that name: list_where("prices", "price", "price > 10").
#}

{# A list of these expressions. #}
{% macro list_of(expressions) -%}
    {{ return(adapter.dispatch("list_of", "userops")(expressions)) }}
{%- endmacro %}

{% macro default__list_of(expressions) -%}
    array({{ expressions | join(", ") }})
{%- endmacro %}

{% macro duckdb__list_of(expressions) -%}
    [{{ expressions | join(", ") }}]
{%- endmacro %}


{# Aggregate: the list of a group's values, in no order. #}
{% macro list_of_values(expression) -%}
    {{ return(adapter.dispatch("list_of_values", "userops")(expression)) }}
{%- endmacro %}

{% macro default__list_of_values(expression) -%}
    collect_list({{ expression }})
{%- endmacro %}

{% macro duckdb__list_of_values(expression) -%}
    list({{ expression }})
{%- endmacro %}


{# How many elements a list has. #}
{% macro list_size(list_expression) -%}
    {{ return(adapter.dispatch("list_size", "userops")(list_expression)) }}
{%- endmacro %}

{% macro default__list_size(list_expression) -%}
    size({{ list_expression }})
{%- endmacro %}

{% macro duckdb__list_size(list_expression) -%}
    len({{ list_expression }})
{%- endmacro %}


{# The element at a position of a list (negative: counted from the end); null beyond its ends. #}
{% macro list_element(list_expression, position) -%}
    {{ return(adapter.dispatch("list_element", "userops")(list_expression, position)) }}
{%- endmacro %}

{% macro default__list_element(list_expression, position) -%}
    try_element_at({{ list_expression }}, {{ position }})
{%- endmacro %}

{% macro duckdb__list_element(list_expression, position) -%}
    {{ list_expression }}[{{ position }}]
{%- endmacro %}


{# In a select list: one row for each element of a list. #}
{% macro elements(list_expression) -%}
    {{ return(adapter.dispatch("elements", "userops")(list_expression)) }}
{%- endmacro %}

{% macro default__elements(list_expression) -%}
    explode({{ list_expression }})
{%- endmacro %}

{% macro duckdb__elements(list_expression) -%}
    unnest({{ list_expression }})
{%- endmacro %}


{# In a select list: one row for each position of a list, which it returns. #}
{% macro list_positions(list_expression) -%}
    {{ return(adapter.dispatch("list_positions", "userops")(list_expression)) }}
{%- endmacro %}

{% macro default__list_positions(list_expression) -%}
    explode(sequence(1, size({{ list_expression }})))
{%- endmacro %}

{% macro duckdb__list_positions(list_expression) -%}
    generate_subscripts({{ list_expression }}, 1)
{%- endmacro %}


{# The first element of a list, as a list of one; an empty list where there is none. #}
{% macro first_as_list(list_expression) -%}
    {{ return(adapter.dispatch("first_as_list", "userops")(list_expression)) }}
{%- endmacro %}

{% macro default__first_as_list(list_expression) -%}
    slice({{ list_expression }}, 1, 1)
{%- endmacro %}

{% macro duckdb__first_as_list(list_expression) -%}
    {{ list_expression }}[1:1]
{%- endmacro %}


{# The part of a list that begins at a position. #}
{% macro list_part_from(list_expression, position) -%}
    {{ return(adapter.dispatch("list_part_from", "userops")(list_expression, position)) }}
{%- endmacro %}

{% macro default__list_part_from(list_expression, position) -%}
    slice({{ list_expression }}, {{ position }}, size({{ list_expression }}))
{%- endmacro %}

{% macro duckdb__list_part_from(list_expression, position) -%}
    ({{ list_expression }})[{{ position }}:]
{%- endmacro %}


{# One list followed by another. #}
{% macro joined_lists(one, other) -%}
    {{ return(adapter.dispatch("joined_lists", "userops")(one, other)) }}
{%- endmacro %}

{% macro default__joined_lists(one, other) -%}
    concat({{ one }}, {{ other }})
{%- endmacro %}

{% macro duckdb__joined_lists(one, other) -%}
    list_concat({{ one }}, {{ other }})
{%- endmacro %}


{# A list sorted in ascending order. #}
{% macro sorted_list(list_expression) -%}
    {{ return(adapter.dispatch("sorted_list", "userops")(list_expression)) }}
{%- endmacro %}

{% macro default__sorted_list(list_expression) -%}
    array_sort({{ list_expression }})
{%- endmacro %}

{% macro duckdb__sorted_list(list_expression) -%}
    list_sort({{ list_expression }})
{%- endmacro %}


{# A list from its last element to its first. #}
{% macro reversed_list(list_expression) -%}
    {{ return(adapter.dispatch("reversed_list", "userops")(list_expression)) }}
{%- endmacro %}

{% macro default__reversed_list(list_expression) -%}
    reverse({{ list_expression }})
{%- endmacro %}

{% macro duckdb__reversed_list(list_expression) -%}
    list_reverse({{ list_expression }})
{%- endmacro %}


{# The longest list in a list of lists, the last of several equally long ones; null where there is none. #}
{% macro longest_list(lists) -%}
    {{ return(adapter.dispatch("longest_list", "userops")(lists)) }}
{%- endmacro %}

{% macro default__longest_list(lists) -%}
    aggregate(
        {{ lists }}, get({{ lists }}, 0), (best, other) -> case when size(other) >= size(best) then other else best end
    )
{%- endmacro %}

{# DuckDB cannot fold an empty list. Most rows have a single list, which is cheaper to pick than to fold. #}
{% macro duckdb__longest_list(lists) -%}
    case
        when len({{ lists }}) > 1
            then list_reduce(
                {{ lists }}, lambda best, other: case when len(other) >= len(best) then other else best end
            )
        else {{ lists }}[1]
    end
{%- endmacro %}


{# The elements of a list that meet a condition on `element`. #}
{% macro list_where(list_expression, element, condition) -%}
    {{ return(adapter.dispatch("list_where", "userops")(list_expression, element, condition)) }}
{%- endmacro %}

{% macro default__list_where(list_expression, element, condition) -%}
    filter({{ list_expression }}, {{ element }} -> {{ condition }})
{%- endmacro %}

{% macro duckdb__list_where(list_expression, element, condition) -%}
    list_filter({{ list_expression }}, lambda {{ element }}: {{ condition }})
{%- endmacro %}


{# The list of what an expression makes of each `element` of a list. #}
{% macro list_map(list_expression, element, expression) -%}
    {{ return(adapter.dispatch("list_map", "userops")(list_expression, element, expression)) }}
{%- endmacro %}

{% macro default__list_map(list_expression, element, expression) -%}
    transform({{ list_expression }}, {{ element }} -> {{ expression }})
{%- endmacro %}

{% macro duckdb__list_map(list_expression, element, expression) -%}
    list_transform({{ list_expression }}, lambda {{ element }}: {{ expression }})
{%- endmacro %}


{#
    A fold: the state that is left when the elements of a list, from the first to the last, have each replaced it. The
    state is itself a list and begins as `initial`. The expression makes the next state out of `state` and the element;
    it must write the element as `folded_element(element)`.
#}
{% macro list_fold(list_expression, initial, state, element, expression) -%}
    {{ return(adapter.dispatch("list_fold", "userops")(list_expression, initial, state, element, expression)) }}
{%- endmacro %}

{% macro default__list_fold(list_expression, initial, state, element, expression) -%}
    aggregate({{ list_expression }}, {{ initial }}, ({{ state }}, {{ element }}) -> {{ expression }})
{%- endmacro %}

{# In DuckDB elements must have the type of the state, so each is wrapped in a list of one. #}
{% macro duckdb__list_fold(list_expression, initial, state, element, expression) -%}
    list_reduce(
        list_transform({{ list_expression }}, lambda {{ element }}: [{{ element }}]),
        lambda {{ state }}, {{ element }}: {{ expression }},
        {{ initial }}
    )
{%- endmacro %}

{% macro folded_element(element) -%}
    {{ return(adapter.dispatch("folded_element", "userops")(element)) }}
{%- endmacro %}

{% macro default__folded_element(element) -%}
    {{ element }}
{%- endmacro %}

{% macro duckdb__folded_element(element) -%}
    {{ element }}[1]
{%- endmacro %}
