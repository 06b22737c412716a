{# Step columns of fct_funnel_progress: its contract has this many, whatever the configured funnels need. #}
{% macro funnel_step_columns() %}{{ return(10) }}{% endmacro %}


{# Steps of the longest configured funnel: how many the funnel models compute. #}
{% macro funnel_steps_built() %}
    {% set steps = var("funnel_max_steps") | int %}
    {% if steps > funnel_step_columns() %}
        {{ exceptions.raise_compiler_error(
            "config/funnels.yml: found a funnel with " ~ steps ~ " steps; expected at most " ~ funnel_step_columns()
            ~ ". What to do: split the funnel in two."
        ) }}
    {% endif %}
    {{ return([steps, 1] | max) }}
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
    list([{{ time_column }}] order by {{ time_column }})
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


{# One row per element of a list. #}
{% macro unnest_list(list_expression) -%}
    {{ return(adapter.dispatch("unnest_list", "userops")(list_expression)) }}
{%- endmacro %}

{% macro default__unnest_list(list_expression) -%}
    explode({{ list_expression }})
{%- endmacro %}

{% macro duckdb__unnest_list(list_expression) -%}
    unnest({{ list_expression }})
{%- endmacro %}
