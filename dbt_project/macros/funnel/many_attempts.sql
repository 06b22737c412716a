{#
    The best attempt of an entry that has very many of them, found by one walk through its events (a fold) instead of
    one comparison per attempt. A shared account or a robot can have thousands.

    These macros are expressions over the columns followers, attempts, next_entry and time_window of
    fct_funnel_progress.
#}


{# Up to so many attempts of an entry are compared one by one. #}
{% macro compared_attempts() %}{{ return(16) }}{% endmacro %}


{# The start of the best attempt of an ordered or strict funnel, as a list of one: of those that get furthest the
   latest. An empty list where no attempt gets further than its start. #}
{% macro best_start_in_order(followers, attempts, steps) -%}
    {%- set events -%}
        {{ sorted_list(joined_lists(
            followers, list_where(attempts, "event", "not " ~ event_has_role("event", following_role()))
        )) }}
    {%- endset -%}
    {%- set walked -%}
        {{ list_fold(
            events, list_of([no_event()] * (2 * steps - 2)), "state", "event",
            ordered_walk(steps, "state", folded_element("event")),
        ) }}
    {%- endset -%}
    {{ first_as_list(list_where(
        reversed_list(list_part_from(walked, steps)), "event", "event is not null"
    )) }}
{%- endmacro %}


{# Likewise for a funnel of any order. #}
{% macro best_start_in_any_order(followers, attempts, steps) -%}
    {%- set walked -%}
        {{ list_fold(
            reversed_list(sorted_list(joined_lists(followers, attempts))),
            list_of([no_event()] * (2 * steps + 1)), "state", "event",
            backward_walk(steps, "state", folded_element("event")),
        ) }}
    {%- endset -%}
    {{ first_as_list(sorted_list(list_where(list_part_from(walked, steps + 2), "event", "event is not null"))) }}
{%- endmacro %}


{#
    The walk for n steps with an order, from the first event to the last: the next state, given `state` and `event`.
    The state is a list of starts.

    elements 1 to n - 1    the latest start whose attempt has come to step 1, 2, ..., n - 1 and waits for the next one
    elements n to 2n - 2   the latest start whose attempt has ever come to step 2, 3, ..., n

    The latest start is enough: of two attempts that have come equally far, the later one has a window that ends later
    and so gets at least as far as the other.
#}
{% macro ordered_walk(steps, state, event) -%}
    {%- set waiting, furthest = [], [] -%}
    {%- for step in range(1, steps) -%}
        {%- set start = list_element(state, step) -%}
        {%- set moves_on -%}
            {{ event_has_role(event, step_role(step + 1)) }}
            and {{ event_microseconds(event) }} <= {{ event_microseconds(start) }} + time_window
        {%- endset -%}
        {%- set arrives -%}
            {%- if step == 1 -%}
            {{ event_has_role(event, start_role()) }} and ({{ event }} < next_entry or next_entry is null)
            {%- else -%}
            {{ event_has_role(event, step_role(step)) }}
            and {{ event_microseconds(event) }} <= {{ event_microseconds(list_element(state, step - 1)) }} + time_window
            {%- endif -%}
        {%- endset -%}
        {%- do waiting.append(
            "case when " ~ arrives ~ " then " ~ (event if step == 1 else list_element(state, step - 1))
            ~ " when " ~ moves_on ~ " or " ~ event_has_role(event, ending_role(step)) ~ " then " ~ no_event()
            ~ " else " ~ start ~ " end"
        ) -%}
        {%- do furthest.append(
            "case when " ~ moves_on ~ " then " ~ start ~ " else " ~ list_element(state, steps - 1 + step) ~ " end"
        ) -%}
    {%- endfor -%}
    {{ return(list_of(waiting + furthest)) }}
{%- endmacro %}


{#
    The walk for n steps without an order, from the last event to the first: the next state, given `state` and `event`.
    The state is a list of events.

    elements 1 to n            for each step, the next event that fulfils it, as seen from here
    element n + 1              the next event that ends an attempt
    elements n + 2 to 2n + 1   for each step, the event with which the best attempt so far reached it, or null

    Going backwards, a start sees at once all that follows it. Only a start that reaches more steps than the best so
    far replaces it, so of equally good ones the latest stays.
#}
{% macro backward_walk(steps, state, event) -%}
    {%- set next_events, reached, gains, held = [], [], [], [] -%}
    {%- set ending = list_element(state, steps + 1) -%}
    {%- for step in range(1, steps + 1) -%}
        {%- set next_event -%}
            case
                when {{ event_has_role(event, step_role(step)) }} then {{ event }}
                else {{ list_element(state, step) }}
            end
        {%- endset -%}
        {%- set is_reached -%}
            {{ event_microseconds("(" ~ next_event ~ ")") }} <= {{ event_microseconds(event) }} + time_window
            and ({{ next_event }} < {{ ending }} or {{ ending }} is null)
        {%- endset -%}
        {%- do next_events.append(next_event) -%}
        {%- do gains.append("case when " ~ is_reached ~ " then 1 else 0 end") -%}
        {%- do held.append("case when " ~ list_element(state, steps + 1 + step) ~ " is null then 0 else 1 end") -%}
        {%- do reached.append("case when " ~ is_reached ~ " then " ~ next_event ~ " end") -%}
    {%- endfor -%}
    {%- set is_better -%}
        {{ event_has_role(event, start_role()) }} and ({{ event }} < next_entry or next_entry is null)
        and {{ gains | join(" + ") }} > {{ held | join(" + ") }}
    {%- endset -%}
    {%- set best = [] -%}
    {%- for step in range(1, steps + 1) -%}
        {%- do best.append(
            "case when " ~ is_better ~ " then " ~ reached[step - 1] ~ " else "
            ~ list_element(state, steps + 1 + step) ~ " end"
        ) -%}
    {%- endfor -%}
    {%- set next_ending -%}
        case when {{ event_has_role(event, ending_role(1)) }} then {{ event }} else {{ ending }} end
    {%- endset -%}
    {{ return(list_of(next_events + [next_ending] + best)) }}
{%- endmacro %}
