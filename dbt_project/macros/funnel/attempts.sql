{#
    How fct_funnel_progress finds entries and attempts in a user's list of packed events, and lets attempts take steps.

    These macros are expressions over the columns of its CTEs: event_log (the user's events of the funnel), time_window
    (microseconds), followers (the events an entry's attempts can take) and chain (the events one attempt has taken so
    far).
#}


{# The entries among a user's starts: the first start, then always the first one outside the window of the entry before.
   Each entry depends on the one before, which window functions cannot express, so the list is folded. #}
{% macro entry_log(start_log, time_window) -%}
    {{ return(adapter.dispatch("entry_log", "userops")(start_log, time_window)) }}
{%- endmacro %}

{% macro default__entry_log(start_log, time_window) -%}
    aggregate(
        {{ start_log }},
        slice({{ start_log }}, 1, 1),
        (entries, event) -> case
            when unix_micros(event.event_time) > unix_micros(element_at(entries, -1).event_time) + {{ time_window }}
                then concat(entries, array(event))
            else entries
        end
    )
{%- endmacro %}

{# DuckDB folds a list into an element of its own, so each start is wrapped in a list of one; and it cannot fold an
   empty list. #}
{% macro duckdb__entry_log(start_log, time_window) -%}
    case
        when len({{ start_log }}) > 0
            then list_reduce(
                list_transform({{ start_log }}, lambda event: [event]),
                lambda entries, event:
                    case
                        when (event[1] >> 74) > (entries[-1] >> 74) + {{ time_window }}
                            then list_append(entries, event[1])
                        else entries
                    end
            )
    end
{%- endmacro %}


{# The events that attempts can take after their start. Users repeat themselves, and most repetitions decide nothing: of
   events in a row with the same roles the first is the one to take. #}
{% macro follower_log(event_log) -%}
    {%- set is_no_repetition = roles_differ("event", event_beside(event_log, "event", -1)) -%}
    {{ list_where(
        event_log, "event",
        event_has_role("event", following_role())
        ~ " and (" ~ event_has_role("event", repeatable_role()) ~ " or coalesce(" ~ is_no_repetition ~ ", true))",
    ) }}
{%- endmacro %}


{# The starts that are worth an attempt. Of starts in a row the last gets furthest, as its window ends latest: the one
   right before a follower or the next entry. A start that nothing follows within its window gets nowhere. #}
{% macro attempt_log(event_log, follower_log, entry_log) -%}
    {%- set event_before = event_beside(event_log, "event", -1) -%}
    {%- set follows_a_start_in_time -%}
        {{ event_has_role(event_before, start_role()) }}
        and {{ event_microseconds("event") }} <= {{ event_microseconds(event_before) }} + time_window
    {%- endset -%}
    {{ sorted_list(list_map(
        list_where(joined_lists(follower_log, entry_log), "event", follows_a_start_in_time), "event", event_before
    )) }}
{%- endmacro %}


{# Condition: an event is inside the window that an attempt's start has opened, its last moment included. #}
{% macro in_window_of(chain, event) -%}
    {{ event_microseconds(event) }} <= {{ event_microseconds(list_element(chain, 1)) }} + time_window
{%- endmacro %}


{# A chain with the event that fulfils `step` added to it. That is the first follower after the chain's element `after`
   that fulfils the step or ends the attempt there; where it ends the attempt, or is outside the window, nothing is
   added. Taking the first event that fits is the best an attempt can do, so no other one has to be tried. #}
{% macro chain_with_step(chain, step, after) -%}
    {%- set first_that_decides = first_as_list(list_where(
        "followers", "event",
        "event > " ~ list_element(chain, after)
        ~ " and " ~ event_has_role("event", step_role(step) + ending_role(after)),
    )) -%}
    {{ joined_lists(chain, list_where(
        first_that_decides, "event", event_has_role("event", step_role(step)) ~ " and " ~ in_window_of(chain, "event")
    )) }}
{%- endmacro %}


{# A chain of a funnel whose steps have an order, with the next step added: it is searched after the step before. A chain
   that has not come that far stays as it is. #}
{% macro chain_with_next_step(chain, step) -%}
    case
        when {{ list_size(chain) }} < {{ step - 1 }} then {{ chain }}
        else {{ chain_with_step(chain, step, after=step - 1) }}
    end
{%- endmacro %}


{# A chain of a funnel of any order, with a step added: it is searched from the start on, unless the start itself
   fulfils it. #}
{% macro chain_with_any_step(chain, step) -%}
    case
        when {{ event_has_role(list_element(chain, 1), step_role(step)) }} then {{ chain }}
        else {{ chain_with_step(chain, step, after=1) }}
    end
{%- endmacro %}
