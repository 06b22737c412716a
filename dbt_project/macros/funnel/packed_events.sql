{#
    Packed events: each event as one value, so that all events of a user in a funnel make one short list.

    A packed event holds, in this order,
        event_time  when it happened, UTC
        variant     number of its name, channel and device; events of equal time are in the order of their variants
        day_shift   days from its date in UTC to its business date: -1, 0 or 1
        roles       what it can do in the funnel, see roles.sql
        place       its position in the user's list of events, from 1
    and so sorts by time, then variant. `packed_event` and `sorted_event_log` make them; all other macros here read
    them.
#}


{# A packed event made of its columns. Its place is still empty: `sorted_event_log` fills it in. #}
{% macro packed_event(event_time, variant, day_shift, roles) -%}
    {{ return(adapter.dispatch("packed_event", "userops")(event_time, variant, day_shift, roles)) }}
{%- endmacro %}

{% macro default__packed_event(event_time, variant, day_shift, roles) -%}
    struct({{ event_time }} as event_time, {{ variant }} as variant, {{ day_shift }} as day_shift, {{ roles }} as roles)
{%- endmacro %}

{# One 128-bit integer, from the highest bit down: 54 bits for the time in microseconds (with its sign), 22 for the
   variant, 2 for the day shift, 22 for the roles, 28 for the place. DuckDB sorts and filters lists of integers several
   times as fast as lists of structs. #}
{% macro duckdb__packed_event(event_time, variant, day_shift, roles) -%}
    (
        cast(epoch_us({{ event_time }}) as hugeint) * {{ 2 ** 74 }}
        + cast({{ variant }} as hugeint) * {{ 2 ** 52 }}
        + ({{ day_shift }} + 1) * {{ 2 ** 50 }}
        + cast({{ roles }} as hugeint) * {{ 2 ** 28 }}
    )
{%- endmacro %}


{# No event: a null of the type of packed events. #}
{% macro no_event() -%}
    {{ return(adapter.dispatch("no_event", "userops")()) }}
{%- endmacro %}

{% macro default__no_event() -%}
    cast(null as struct<event_time: timestamp, variant: bigint, day_shift: int, roles: int, place: int>)
{%- endmacro %}

{% macro duckdb__no_event() -%}
    cast(null as hugeint)
{%- endmacro %}


{# Aggregate: the packed events of a group as a sorted list, each with its place in that list. #}
{% macro sorted_event_log(packed_event) -%}
    {{ return(adapter.dispatch("sorted_event_log", "userops")(packed_event)) }}
{%- endmacro %}

{% macro default__sorted_event_log(packed_event) -%}
    transform(
        sort_array(collect_list({{ packed_event }})),
        (event, place) -> struct(event.event_time, event.variant, event.day_shift, event.roles, place + 1 as place)
    )
{%- endmacro %}

{% macro duckdb__sorted_event_log(packed_event) -%}
    list_transform(list_sort(list({{ packed_event }})), lambda event, place: event + place)
{%- endmacro %}


{# When an event happened, as a UTC timestamp. #}
{% macro event_timestamp(event) -%}
    {{ return(adapter.dispatch("event_timestamp", "userops")(event)) }}
{%- endmacro %}

{% macro default__event_timestamp(event) -%}
    {{ event }}.event_time
{%- endmacro %}

{% macro duckdb__event_timestamp(event) -%}
    make_timestamp(cast({{ event_microseconds(event) }} as bigint))
{%- endmacro %}


{# When an event happened, in microseconds since 1970-01-01 UTC. #}
{% macro event_microseconds(event) -%}
    {{ return(adapter.dispatch("event_microseconds", "userops")(event)) }}
{%- endmacro %}

{% macro default__event_microseconds(event) -%}
    unix_micros({{ event }}.event_time)
{%- endmacro %}

{% macro duckdb__event_microseconds(event) -%}
    ({{ event }} >> 74)
{%- endmacro %}


{# Number of an event's name, channel and device. #}
{% macro event_variant(event) -%}
    {{ return(adapter.dispatch("event_variant", "userops")(event)) }}
{%- endmacro %}

{% macro default__event_variant(event) -%}
    {{ event }}.variant
{%- endmacro %}

{% macro duckdb__event_variant(event) -%}
    cast(({{ event }} >> 52) & {{ 2 ** 22 - 1 }} as bigint)
{%- endmacro %}


{# Days from an event's date in UTC to its business date. #}
{% macro event_day_shift(event) -%}
    {{ return(adapter.dispatch("event_day_shift", "userops")(event)) }}
{%- endmacro %}

{% macro default__event_day_shift(event) -%}
    {{ event }}.day_shift
{%- endmacro %}

{% macro duckdb__event_day_shift(event) -%}
    cast((({{ event }} >> 50) & 3) - 1 as integer)
{%- endmacro %}


{# Condition: an event has at least one of these roles (one role, or a sum of several). #}
{% macro event_has_role(event, roles) -%}
    {{ return(adapter.dispatch("event_has_role", "userops")(event, roles)) }}
{%- endmacro %}

{% macro default__event_has_role(event, roles) -%}
    ({{ event }}.roles & {{ roles }}) > 0
{%- endmacro %}

{% macro duckdb__event_has_role(event, roles) -%}
    ({{ event }} & {{ roles * 2 ** 28 }}) > 0
{%- endmacro %}


{# Condition: two events do not have the same roles. #}
{% macro roles_differ(event, other) -%}
    {{ return(adapter.dispatch("roles_differ", "userops")(event, other)) }}
{%- endmacro %}

{% macro default__roles_differ(event, other) -%}
    {{ event }}.roles <> {{ other }}.roles
{%- endmacro %}

{% macro duckdb__roles_differ(event, other) -%}
    ({{ event }} & {{ (2 ** 22 - 1) * 2 ** 28 }}) <> ({{ other }} & {{ (2 ** 22 - 1) * 2 ** 28 }})
{%- endmacro %}


{# The event that stands `places` after another one in its log (before it where negative); null beyond the ends. #}
{% macro event_beside(event_log, event, places) -%}
    {{ return(adapter.dispatch("event_beside", "userops")(event_log, event, places)) }}
{%- endmacro %}

{% macro default__event_beside(event_log, event, places) -%}
    get({{ event_log }}, {{ event }}.place - 1 + {{ places }})
{%- endmacro %}

{% macro duckdb__event_beside(event_log, event, places) -%}
    {{ event_log }}[cast({{ event }} & {{ 2 ** 28 - 1 }} as bigint) + {{ places }}]
{%- endmacro %}
