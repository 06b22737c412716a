{# Step columns of fct_funnel_progress: its contract has this many, whatever the configured funnels need. #}
{% macro funnel_step_columns() %}{{ return(10) }}{% endmacro %}


{# Steps of the longest configured funnel, at least two: how many the funnel models compute. #}
{% macro funnel_steps_built() %}
    {% set steps = var("funnel_max_steps") | int %}
    {% if steps > funnel_step_columns() %}
        {{ exceptions.raise_compiler_error(
            "config/funnels.yml: found a funnel with " ~ steps ~ " steps; expected at most " ~ funnel_step_columns()
            ~ ". What to do: split the funnel in two."
        ) }}
    {% endif %}
    {{ return([steps, 2] | max) }}
{% endmacro %}


{# Aggregate: the list of times of a group in order, in the form `window_starts` takes. #}
{% macro ordered_times(time_column) -%}
    {{ return(adapter.dispatch("ordered_times", "userops")(time_column)) }}
{%- endmacro %}

{% macro default__ordered_times(time_column) -%}
    sort_array(collect_list({{ time_column }}))
{%- endmacro %}

{# One-element lists: DuckDB folds a list with elements of the result's own type. #}
{% macro duckdb__ordered_times(time_column) -%}
    list_transform(list_sort(list({{ time_column }})), lambda moment: [moment])
{%- endmacro %}


{# Of an ordered list of times: the first, then always the first after the window of the one before has ended.
   Each pick depends on the one before, which window functions cannot express, so the list is folded. #}
{% macro window_starts(times, window_seconds) -%}
    {{ return(adapter.dispatch("window_starts", "userops")(times, window_seconds)) }}
{%- endmacro %}

{% macro default__window_starts(times, window_seconds) -%}
    aggregate(
        {{ times }},
        cast(array() as array<timestamp>),
        (starts, moment) -> case
            when size(starts) = 0 or moment > {{ add_seconds("element_at(starts, -1)", window_seconds) }}
                then concat(starts, array(moment))
            else starts
        end
    )
{%- endmacro %}

{% macro duckdb__window_starts(times, window_seconds) -%}
    list_reduce(
        {{ times }},
        lambda starts, moment:
            case
                when moment[1] > {{ add_seconds("starts[-1]", window_seconds) }} then list_append(starts, moment[1])
                else starts
            end
    )
{%- endmacro %}


{# Two columns, one row per element of a list: the element, and its number from 1. #}
{% macro unnest_numbered(list_expression, element, number) -%}
    {{ return(adapter.dispatch("unnest_numbered", "userops")(list_expression, element, number)) }}
{%- endmacro %}

{% macro default__unnest_numbered(list_expression, element, number) -%}
    inline(transform({{ list_expression }}, (element, position) -> struct(element as {{ element }}, position + 1 as {{ number }})))
{%- endmacro %}

{% macro duckdb__unnest_numbered(list_expression, element, number) -%}
    unnest({{ list_expression }}) as {{ element }},
    generate_subscripts({{ list_expression }}, 1) as {{ number }}
{%- endmacro %}


{# Window function: the first value that is not null. #}
{% macro first_known_value(expression) -%}
    {{ return(adapter.dispatch("first_known_value", "userops")(expression)) }}
{%- endmacro %}

{% macro default__first_known_value(expression) -%}
    first_value({{ expression }}, true)
{%- endmacro %}

{% macro duckdb__first_known_value(expression) -%}
    first_value({{ expression }} ignore nulls)
{%- endmacro %}


{# An empty list of times. #}
{% macro no_times() -%}
    {{ return(adapter.dispatch("no_times", "userops")()) }}
{%- endmacro %}

{% macro default__no_times() -%}
    cast(array() as array<timestamp>)
{%- endmacro %}

{% macro duckdb__no_times() -%}
    cast([] as timestamp[])
{%- endmacro %}


{# A list of times with one more in front. #}
{% macro time_before_times(time, times) -%}
    {{ return(adapter.dispatch("time_before_times", "userops")(time, times)) }}
{%- endmacro %}

{% macro default__time_before_times(time, times) -%}
    concat(array({{ time }}), {{ times }})
{%- endmacro %}

{% macro duckdb__time_before_times(time, times) -%}
    list_prepend({{ time }}, {{ times }})
{%- endmacro %}


{# Of some times, those that are known and not after a limit, in order, as a list. #}
{% macro times_until(times, limit) -%}
    {{ return(adapter.dispatch("times_until", "userops")(times, limit)) }}
{%- endmacro %}

{% macro default__times_until(times, limit) -%}
    array_sort(filter({{ times }}, moment -> moment <= {{ limit }}))
{%- endmacro %}

{% macro duckdb__times_until(times, limit) -%}
    list_sort(list_filter({{ times }}, lambda moment: moment <= {{ limit }}))
{%- endmacro %}


{# Columns as a list. #}
{% macro list_of(expressions) -%}
    {{ return(adapter.dispatch("list_of", "userops")(expressions)) }}
{%- endmacro %}

{% macro default__list_of(expressions) -%}
    array({{ expressions | join(", ") }})
{%- endmacro %}

{% macro duckdb__list_of(expressions) -%}
    [{{ expressions | join(", ") }}]
{%- endmacro %}


{# Element of a list by its number from 1; null beyond the end. #}
{% macro list_element(list_expression, number) -%}
    {{ return(adapter.dispatch("list_element", "userops")(list_expression, number)) }}
{%- endmacro %}

{% macro default__list_element(list_expression, number) -%}
    try_element_at({{ list_expression }}, {{ number }})
{%- endmacro %}

{% macro duckdb__list_element(list_expression, number) -%}
    {{ list_expression }}[{{ number }}]
{%- endmacro %}


{# Number of elements of a list. #}
{% macro list_size(list_expression) -%}
    {{ return(adapter.dispatch("list_size", "userops")(list_expression)) }}
{%- endmacro %}

{% macro default__list_size(list_expression) -%}
    size({{ list_expression }})
{%- endmacro %}

{% macro duckdb__list_size(list_expression) -%}
    len({{ list_expression }})
{%- endmacro %}
