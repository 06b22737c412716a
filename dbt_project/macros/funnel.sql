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


{#
    Where the funnels of the users being rebuilt are taken up again: (funnel_number, user_id, resumed_at, entries_kept).

    What an entry came to is decided within two windows. Entries that were over before the user's events changed stay as
    they are; the others are made again, from the first of them on or, if none was open, from the change on: between the
    windows of the last entry and the change there is no start, else it would be an entry.
#}
{% macro funnel_resumptions() -%}
    {%- set is_open = entry_is_open_at("stored.entered_at", "funnels.window_seconds", "users.changed_at") -%}
    select
        funnels.funnel_number,
        users.user_id,
        least(
            users.changed_at, coalesce(min(case when {{ is_open }} then stored.entered_at end), users.changed_at)
        ) as resumed_at,
        count(case when not ({{ is_open }}) then stored.entered_at end) as entries_kept
    from ({{ users_with_changed_events() }}) as users
    cross join ({{ funnel_windows() }}) as funnels
    left join {{ this }} as stored
        on
            users.user_id = stored.user_id
            and funnels.funnel_id = stored.funnel_id
    group by funnels.funnel_number, users.user_id, users.changed_at
{%- endmacro %}


{# Query of the funnels, each with its window. #}
{% macro funnel_windows() -%}
    select distinct
        funnel_id,
        funnel_number,
        window_seconds
    from {{ ref("int_funnel_event_names") }}
{%- endmacro %}


{# Condition: what an entry came to can still change with events from a moment on. #}
{% macro entry_is_open_at(entered_at, window_seconds, changed_at) -%}
    {{ add_seconds(entered_at, "2 * " ~ window_seconds) }} >= {{ changed_at }}
{%- endmacro %}


{# The users being rebuilt, each with the moment (UTC) before which none of their events has changed. A date begins up to
   a day earlier in UTC than its name says. #}
{% macro users_with_changed_events() -%}
    select
        changed_users.user_id,
        cast({{ add_days("changed_users.changed_from", -1) }} as timestamp) as changed_at
    from ({{ users_being_rebuilt() }}) as changed_users
{%- endmacro %}


{# Condition that keeps the stored entries which this run makes again. #}
{% macro in_entries_to_replace() -%}
    (user_id, funnel_id, entry_number) in (
        select
            stored.user_id,
            stored.funnel_id,
            stored.entry_number
        from {{ this }} as stored
        inner join ({{ users_with_changed_events() }}) as users
            on stored.user_id = users.user_id
        inner join ({{ funnel_windows() }}) as funnels
            on stored.funnel_id = funnels.funnel_id
        where {{ entry_is_open_at("stored.entered_at", "funnels.window_seconds", "users.changed_at") }}
    )
{%- endmacro %}


{# Query of the cohort dates on which entries differ between two queries of entries. Not which entry of the user it is. #}
{% macro cohorts_of_changed_entries(stored, made) -%}
    {%- set columns = ["funnel_id", "user_id", "cohort_date", "channel", "device", "step_order", "max_step"] -%}
    {%- for step in range(1, funnel_step_columns() + 1) -%}
        {%- do columns.append("step_" ~ step ~ "_at") -%}
    {%- endfor -%}
    select cohort_date as business_date
    from (
        (
            select {{ columns | join(", ") }} from ({{ stored }}) as stored
            except
            select {{ columns | join(", ") }} from ({{ made }}) as made
        )
        union all
        (
            select {{ columns | join(", ") }} from ({{ made }}) as made
            except
            select {{ columns | join(", ") }} from ({{ stored }}) as stored
        )
    ) as changed
{%- endmacro %}


{# Cohort dates of agg_funnel_conversion that have to be counted again though no entry changed: a user belongs to another
   segment now, or the cohort has become complete. #}
{% macro cohorts_told_otherwise() -%}
    select entries.cohort_date as business_date
    from {{ ref("fct_funnel_progress") }} as entries
    inner join (
        {{ segments_of_users() }}
        except
        select * from pipeline_state.funnel_users
    ) as changed_users
        on entries.user_id = changed_users.user_id

    union all

    select stored.cohort_date as business_date
    from {{ this }} as stored
    inner join ({{ funnel_windows() }}) as funnels
        on stored.funnel_id = funnels.funnel_id
    where stored.is_complete <> ({{ cohort_is_complete("stored.cohort_date", "funnels.window_seconds") }})
{%- endmacro %}


{# Query of what agg_funnel_conversion tells users apart by. #}
{% macro segments_of_users() -%}
    select
        user_id,
        acquisition_channel,
        region,
        gender
    from {{ ref("dim_users") }}
{%- endmacro %}


{# Post-hook of agg_funnel_conversion: remember the segments it has counted users in. #}
{% macro remember_funnel_users() %}
    {% if execute %}
        create or replace table pipeline_state.funnel_users as
        {{ segments_of_users() }};
    {% endif %}
{% endmacro %}


{# Condition: the best attempt of every entry of a cohort is over. It may start one window after its entry. Told by moments,
   because days have 23 or 25 hours where clocks are changed, and windows have not. #}
{% macro cohort_is_complete(cohort_date, window_seconds) -%}
    {{ add_seconds(end_of_day(cohort_date), "2 * " ~ window_seconds) }} <= {{ end_of_day(as_of()) }}
{%- endmacro %}


{# Condition: conversion of the funnel is told by these segments; by all entries it always is. #}
{% macro funnel_is_told_by(segment_type) -%}
    {%- if segment_type == "all" -%}
        true
    {%- else -%}
        funnel_id in (
            select segments.funnel_id
            from {{ ref("stg_funnel_segments") }} as segments
            where segments.segment_type = '{{ segment_type }}'
        )
    {%- endif -%}
{%- endmacro %}


{#
    What an event can do in a funnel, as one number: a bit per part it can play.

    bits 0 to 9    it fulfils step 1 to 10
    bits 10 to 18  it ends an attempt between step 1 and 2, ..., 9 and 10
    bit 19         an attempt can start with it
    bit 20         it can take part in an attempt that has started before
    bit 21         a repetition of it can do more than the first: it fulfils several steps, or none
#}
{% macro step_part(step) %}{{ return(2 ** (step - 1)) }}{% endmacro %}
{% macro ending_part(step) %}{{ return(2 ** (funnel_step_columns() + step - 1)) }}{% endmacro %}
{% macro start_part() %}{{ return(2 ** 19) }}{% endmacro %}
{% macro following_part() %}{{ return(2 ** 20) }}{% endmacro %}
{% macro repeatable_part() %}{{ return(2 ** 21) }}{% endmacro %}


{# Those parts, of a row of int_funnel_event_names called `event_names`. #}
{% macro parts_of_event(steps) -%}
    {%- set parts = [
        "event_names.is_start * " ~ start_part(),
        "case when event_names.only_step <> 1 or event_names.step_order = 'any' then " ~ following_part()
        ~ " else 0 end",
        "case when event_names.only_step = 0 then " ~ repeatable_part() ~ " else 0 end",
    ] -%}
    {%- for step in range(1, steps + 1) -%}
        {%- do parts.append("event_names.is_step_" ~ step ~ " * " ~ step_part(step)) -%}
    {%- endfor -%}
    {%- for step in range(1, steps) -%}
        {%- do parts.append(
            "case when event_names.ends_after_" ~ step ~ " = 1"
            ~ " or (event_names.is_excluded = 1 and event_names.step_order = 'any') then " ~ ending_part(step)
            ~ " else 0 end"
        ) -%}
    {%- endfor -%}
    ({{ parts | join(" + ") }})
{%- endmacro %}


{#
    An event of a user as one value that sorts as the events of a funnel do: by time, then by kind (the number of its
    name, channel and device in that order). How many days its business date is away from its date in UTC (-1, 0 or 1),
    what it can do and its place in the user's log travel with it. The other macros named coded_... read such a value.
#}
{% macro coded_event(event_time, kind, day_shift, parts) -%}
    {{ return(adapter.dispatch("coded_event", "userops")(event_time, kind, day_shift, parts)) }}
{%- endmacro %}

{% macro default__coded_event(event_time, kind, day_shift, parts) -%}
    struct({{ event_time }} as event_time, {{ kind }} as kind, {{ day_shift }} as day_shift, {{ parts }} as parts)
{%- endmacro %}

{# One whole number: 53 bits of microseconds, 22 of kind, 2 of shifted days, 22 of parts, 28 of place. Lists of numbers
   are sorted and filtered several times as fast as lists of structs. #}
{% macro duckdb__coded_event(event_time, kind, day_shift, parts) -%}
    (
        cast(epoch_us({{ event_time }}) as hugeint) * {{ 2 ** 74 }}
        + cast({{ kind }} as hugeint) * {{ 2 ** 52 }}
        + ({{ day_shift }} + 1) * {{ 2 ** 50 }}
        + cast({{ parts }} as hugeint) * {{ 2 ** 28 }}
    )
{%- endmacro %}


{# Aggregate: the list of a group's coded events in order, each with its place in it, from 1. #}
{% macro coded_log(coded_event) -%}
    {{ return(adapter.dispatch("coded_log", "userops")(coded_event)) }}
{%- endmacro %}

{% macro default__coded_log(coded_event) -%}
    transform(
        sort_array(collect_list({{ coded_event }})),
        (coded, place) -> struct(coded.event_time, coded.kind, coded.day_shift, coded.parts, place + 1 as place)
    )
{%- endmacro %}

{% macro duckdb__coded_log(coded_event) -%}
    list_transform(list_sort(list({{ coded_event }})), lambda coded, place: coded + place)
{%- endmacro %}


{# Time of a coded event, as a timestamp. #}
{% macro coded_time(coded) -%}
    {{ return(adapter.dispatch("coded_time", "userops")(coded)) }}
{%- endmacro %}

{% macro default__coded_time(coded) -%}
    {{ coded }}.event_time
{%- endmacro %}

{% macro duckdb__coded_time(coded) -%}
    make_timestamp(cast({{ coded_microseconds(coded) }} as bigint))
{%- endmacro %}


{# Time of a coded event, in microseconds since 1970 UTC. #}
{% macro coded_microseconds(coded) -%}
    {{ return(adapter.dispatch("coded_microseconds", "userops")(coded)) }}
{%- endmacro %}

{% macro default__coded_microseconds(coded) -%}
    unix_micros({{ coded }}.event_time)
{%- endmacro %}

{% macro duckdb__coded_microseconds(coded) -%}
    ({{ coded }} >> 74)
{%- endmacro %}


{# Kind of a coded event. #}
{% macro coded_kind(coded) -%}
    {{ return(adapter.dispatch("coded_kind", "userops")(coded)) }}
{%- endmacro %}

{% macro default__coded_kind(coded) -%}
    {{ coded }}.kind
{%- endmacro %}

{% macro duckdb__coded_kind(coded) -%}
    cast(({{ coded }} >> 52) & {{ 2 ** 22 - 1 }} as bigint)
{%- endmacro %}


{# Days from the date of a coded event in UTC to its business date. #}
{% macro coded_day_shift(coded) -%}
    {{ return(adapter.dispatch("coded_day_shift", "userops")(coded)) }}
{%- endmacro %}

{% macro default__coded_day_shift(coded) -%}
    {{ coded }}.day_shift
{%- endmacro %}

{% macro duckdb__coded_day_shift(coded) -%}
    cast((({{ coded }} >> 50) & 3) - 1 as integer)
{%- endmacro %}


{# Condition: a coded event can play one of these parts (a sum of them). #}
{% macro coded_can(coded, parts) -%}
    {{ return(adapter.dispatch("coded_can", "userops")(coded, parts)) }}
{%- endmacro %}

{% macro default__coded_can(coded, parts) -%}
    ({{ coded }}.parts & {{ parts }}) > 0
{%- endmacro %}

{% macro duckdb__coded_can(coded, parts) -%}
    ({{ coded }} & {{ parts * 2 ** 28 }}) > 0
{%- endmacro %}


{# Condition: two coded events can play different parts. #}
{% macro coded_parts_differ(coded, other) -%}
    {{ return(adapter.dispatch("coded_parts_differ", "userops")(coded, other)) }}
{%- endmacro %}

{% macro default__coded_parts_differ(coded, other) -%}
    {{ coded }}.parts <> {{ other }}.parts
{%- endmacro %}

{% macro duckdb__coded_parts_differ(coded, other) -%}
    ({{ coded }} & {{ (2 ** 22 - 1) * 2 ** 28 }}) <> ({{ other }} & {{ (2 ** 22 - 1) * 2 ** 28 }})
{%- endmacro %}


{# The coded event so many places (may be negative) after another one of a log; null beyond its ends. #}
{% macro coded_neighbour(log, coded, places) -%}
    {{ return(adapter.dispatch("coded_neighbour", "userops")(log, coded, places)) }}
{%- endmacro %}

{% macro default__coded_neighbour(log, coded, places) -%}
    get({{ log }}, {{ coded }}.place - 1 + {{ places }})
{%- endmacro %}

{% macro duckdb__coded_neighbour(log, coded, places) -%}
    {{ log }}[cast({{ coded }} & {{ 2 ** 28 - 1 }} as bigint) + {{ places }}]
{%- endmacro %}


{# Of a list of coded events in order: the first, then always the first after the window of the one before has ended.
   Each pick depends on the one before, which window functions cannot express, so the list is folded. #}
{% macro window_starts(coded_events, window) -%}
    {{ return(adapter.dispatch("window_starts", "userops")(coded_events, window)) }}
{%- endmacro %}

{% macro default__window_starts(coded_events, window) -%}
    aggregate(
        {{ coded_events }},
        slice({{ coded_events }}, 1, 1),
        (starts, coded) -> case
            when unix_micros(coded.event_time) > unix_micros(element_at(starts, -1).event_time) + {{ window }}
                then concat(starts, array(coded))
            else starts
        end
    )
{%- endmacro %}

{# DuckDB folds a list with elements of the result's own type: one-element lists. It cannot fold an empty list. #}
{% macro duckdb__window_starts(coded_events, window) -%}
    case
        when len({{ coded_events }}) > 0
            then list_reduce(
                list_transform({{ coded_events }}, lambda coded: [coded]),
                lambda starts, coded:
                    case
                        when (coded[1] >> 74) > (starts[-1] >> 74) + {{ window }} then list_append(starts, coded[1])
                        else starts
                    end
            )
    end
{%- endmacro %}


{# Of a list of lists the longest, of equally long ones the last; null of an empty list. #}
{% macro longest_list(lists) -%}
    {{ return(adapter.dispatch("longest_list", "userops")(lists)) }}
{%- endmacro %}

{% macro default__longest_list(lists) -%}
    aggregate(
        {{ lists }}, get({{ lists }}, 0), (best, other) -> case when size(other) >= size(best) then other else best end
    )
{%- endmacro %}

{# DuckDB cannot fold an empty list, and folding the one list of most rows would cost more than to pick it. #}
{% macro duckdb__longest_list(lists) -%}
    case
        when len({{ lists }}) > 1
            then list_reduce(
                {{ lists }}, lambda best, other: case when len(other) >= len(best) then other else best end
            )
        else {{ lists }}[1]
    end
{%- endmacro %}


{# Attempts of an entry that are compared one by one; of more a walk finds the best. #}
{% macro compared_attempts() %}{{ return(16) }}{% endmacro %}


{# The latest of the attempts that get furthest, as a list; an empty one where none gets further than its start. #}
{% macro best_start_in_order(followers, attempts, steps) -%}
    {%- set events -%}
        {{ sorted_list(lists_joined(
            followers, list_where(attempts, "coded", "not " ~ coded_can("coded", following_part()))
        )) }}
    {%- endset -%}
    {%- set walked -%}
        {{ list_fold(
            events, list_of([no_coded_event()] * (2 * steps - 2)), "state", "coded",
            ordered_walk(steps, "state", folded_element("coded")),
        ) }}
    {%- endset -%}
    {{ first_of_list(list_where(
        backwards(list_elements_from(walked, steps)), "coded", "coded is not null"
    )) }}
{%- endmacro %}


{# Likewise where order does not count. #}
{% macro best_start_in_any_order(followers, attempts, steps) -%}
    {%- set walked -%}
        {{ list_fold(
            backwards(sorted_list(lists_joined(followers, attempts))),
            list_of([no_coded_event()] * (2 * steps + 1)), "state", "coded",
            backward_walk(steps, "state", folded_element("coded")),
        ) }}
    {%- endset -%}
    {{ first_of_list(sorted_list(list_where(list_elements_from(walked, steps + 2), "coded", "coded is not null"))) }}
{%- endmacro %}


{#
    One step of a walk through the events of an entry, in order, of a funnel whose steps have an order: the list of coded
    events that `state` becomes at `coded`. Elements 1 to n - 1: the latest start that has come to step 1, 2, ... and waits
    for the next one; elements n to 2n - 2: the latest that has ever come to step 2, 3, ...

    An attempt that has come as far as an earlier one does not less than it from there on, for its window ends later.
#}
{% macro ordered_walk(steps, state, coded) -%}
    {%- set waiting, furthest = [], [] -%}
    {%- for step in range(1, steps) -%}
        {%- set start = list_element(state, step) -%}
        {%- set moves_on -%}
            {{ coded_can(coded, step_part(step + 1)) }}
            and {{ coded_microseconds(coded) }} <= {{ coded_microseconds(start) }} + time_window
        {%- endset -%}
        {%- set arrives -%}
            {%- if step == 1 -%}
            {{ coded_can(coded, start_part()) }} and ({{ coded }} < next_entry or next_entry is null)
            {%- else -%}
            {{ coded_can(coded, step_part(step)) }}
            and {{ coded_microseconds(coded) }} <= {{ coded_microseconds(list_element(state, step - 1)) }} + time_window
            {%- endif -%}
        {%- endset -%}
        {%- do waiting.append(
            "case when " ~ arrives ~ " then " ~ (coded if step == 1 else list_element(state, step - 1))
            ~ " when " ~ moves_on ~ " or " ~ coded_can(coded, ending_part(step)) ~ " then " ~ no_coded_event()
            ~ " else " ~ start ~ " end"
        ) -%}
        {%- do furthest.append(
            "case when " ~ moves_on ~ " then " ~ start ~ " else " ~ list_element(state, steps - 1 + step) ~ " end"
        ) -%}
    {%- endfor -%}
    {{ return(list_of(waiting + furthest)) }}
{%- endmacro %}


{#
    One step of a walk through the events of an entry, from the last to the first, of a funnel whose steps have no order:
    the list of coded events that `state` becomes at `coded`. Elements 1 to n: the next event of each step from here on;
    n + 1: the next that ends an attempt; n + 2 to 2n + 1: what the best attempt so far reached of each step.
#}
{% macro backward_walk(steps, state, coded) -%}
    {%- set next_events, reached, gains, held = [], [], [], [] -%}
    {%- set ending = list_element(state, steps + 1) -%}
    {%- for step in range(1, steps + 1) -%}
        {%- set next_event -%}
            case when {{ coded_can(coded, step_part(step)) }} then {{ coded }} else {{ list_element(state, step) }} end
        {%- endset -%}
        {%- set is_reached -%}
            {{ coded_microseconds("(" ~ next_event ~ ")") }} <= {{ coded_microseconds(coded) }} + time_window
            and ({{ next_event }} < {{ ending }} or {{ ending }} is null)
        {%- endset -%}
        {%- do next_events.append(next_event) -%}
        {%- do gains.append("case when " ~ is_reached ~ " then 1 else 0 end") -%}
        {%- do held.append("case when " ~ list_element(state, steps + 1 + step) ~ " is null then 0 else 1 end") -%}
        {%- do reached.append("case when " ~ is_reached ~ " then " ~ next_event ~ " end") -%}
    {%- endfor -%}
    {%- set is_better -%}
        {{ coded_can(coded, start_part()) }} and ({{ coded }} < next_entry or next_entry is null)
        and {{ gains | join(" + ") }} > {{ held | join(" + ") }}
    {%- endset -%}
    {%- set best = [] -%}
    {%- for step in range(1, steps + 1) -%}
        {%- do best.append(
            "case when " ~ is_better ~ " then " ~ reached[step - 1] ~ " else "
            ~ list_element(state, steps + 1 + step) ~ " end"
        ) -%}
    {%- endfor -%}
    {%- set next_ending = "case when " ~ coded_can(coded, ending_part(1)) ~ " then " ~ coded ~ " else " ~ ending ~ " end" -%}
    {{ return(list_of(next_events + [next_ending] + best)) }}
{%- endmacro %}


{# No coded event: the null of its type. #}
{% macro no_coded_event() -%}
    {{ return(adapter.dispatch("no_coded_event", "userops")()) }}
{%- endmacro %}

{% macro default__no_coded_event() -%}
    cast(null as struct<event_time: timestamp, kind: bigint, day_shift: int, parts: int, place: int>)
{%- endmacro %}

{% macro duckdb__no_coded_event() -%}
    cast(null as hugeint)
{%- endmacro %}


{# What a list of states becomes when each element of a list, from the first to the last, makes a new one of it: an
   expression of `state` and of the element, as `folded_element` names it. #}
{% macro list_fold(list_expression, initial, state, element, expression) -%}
    {{ return(adapter.dispatch("list_fold", "userops")(list_expression, initial, state, element, expression)) }}
{%- endmacro %}

{% macro default__list_fold(list_expression, initial, state, element, expression) -%}
    aggregate({{ list_expression }}, {{ initial }}, ({{ state }}, {{ element }}) -> {{ expression }})
{%- endmacro %}

{# DuckDB folds a list with elements of the result's own type: one-element lists. #}
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


{# Those elements of a list that meet a condition on `element`. #}
{% macro list_where(list_expression, element, condition) -%}
    {{ return(adapter.dispatch("list_where", "userops")(list_expression, element, condition)) }}
{%- endmacro %}

{% macro default__list_where(list_expression, element, condition) -%}
    filter({{ list_expression }}, {{ element }} -> {{ condition }})
{%- endmacro %}

{% macro duckdb__list_where(list_expression, element, condition) -%}
    list_filter({{ list_expression }}, lambda {{ element }}: {{ condition }})
{%- endmacro %}


{# An expression of every `element` of a list, as a list. #}
{% macro list_map(list_expression, element, expression) -%}
    {{ return(adapter.dispatch("list_map", "userops")(list_expression, element, expression)) }}
{%- endmacro %}

{% macro default__list_map(list_expression, element, expression) -%}
    transform({{ list_expression }}, {{ element }} -> {{ expression }})
{%- endmacro %}

{% macro duckdb__list_map(list_expression, element, expression) -%}
    list_transform({{ list_expression }}, lambda {{ element }}: {{ expression }})
{%- endmacro %}


{# A list in order. #}
{% macro sorted_list(list_expression) -%}
    {{ return(adapter.dispatch("sorted_list", "userops")(list_expression)) }}
{%- endmacro %}

{% macro default__sorted_list(list_expression) -%}
    array_sort({{ list_expression }})
{%- endmacro %}

{% macro duckdb__sorted_list(list_expression) -%}
    list_sort({{ list_expression }})
{%- endmacro %}


{# The elements of a list from the last to the first. #}
{% macro backwards(list_expression) -%}
    {{ return(adapter.dispatch("backwards", "userops")(list_expression)) }}
{%- endmacro %}

{% macro default__backwards(list_expression) -%}
    reverse({{ list_expression }})
{%- endmacro %}

{% macro duckdb__backwards(list_expression) -%}
    list_reverse({{ list_expression }})
{%- endmacro %}


{# The elements of a list from a number on. #}
{% macro list_elements_from(list_expression, number) -%}
    {{ return(adapter.dispatch("list_elements_from", "userops")(list_expression, number)) }}
{%- endmacro %}

{% macro default__list_elements_from(list_expression, number) -%}
    slice({{ list_expression }}, {{ number }}, size({{ list_expression }}))
{%- endmacro %}

{% macro duckdb__list_elements_from(list_expression, number) -%}
    ({{ list_expression }})[{{ number }}:]
{%- endmacro %}


{# The elements of one list, then those of another. #}
{% macro lists_joined(one, other) -%}
    {{ return(adapter.dispatch("lists_joined", "userops")(one, other)) }}
{%- endmacro %}

{% macro default__lists_joined(one, other) -%}
    concat({{ one }}, {{ other }})
{%- endmacro %}

{% macro duckdb__lists_joined(one, other) -%}
    list_concat({{ one }}, {{ other }})
{%- endmacro %}


{# The first element of a list, as a list; an empty list of an empty one. #}
{% macro first_of_list(list_expression) -%}
    {{ return(adapter.dispatch("first_of_list", "userops")(list_expression)) }}
{%- endmacro %}

{% macro default__first_of_list(list_expression) -%}
    slice({{ list_expression }}, 1, 1)
{%- endmacro %}

{% macro duckdb__first_of_list(list_expression) -%}
    {{ list_expression }}[1:1]
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


{# Element of a list by its number, from 1 (negative: from its end); null beyond its ends. #}
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


{# The numbers from 1 to the length of a list, one row each. #}
{% macro list_numbers(list_expression) -%}
    {{ return(adapter.dispatch("list_numbers", "userops")(list_expression)) }}
{%- endmacro %}

{% macro default__list_numbers(list_expression) -%}
    explode(sequence(1, size({{ list_expression }})))
{%- endmacro %}

{% macro duckdb__list_numbers(list_expression) -%}
    generate_subscripts({{ list_expression }}, 1)
{%- endmacro %}
