{#
    Roles: everything an event can do in a funnel, as one number with a bit for each role.

    bits 0 to 9    it fulfils step 1 to 10
    bits 10 to 18  between step 1 and 2, ..., 9 and 10 it ends an attempt
    bit 19         an attempt can start with it
    bit 20         an attempt that has started can take it, or be ended by it
    bit 21         repeating it at once can matter: it fulfils several steps, or none (an exclusion)

    Roles are powers of two, so a sum of roles stands for all of them together.
#}
{% macro step_role(step) %}{{ return(2 ** (step - 1)) }}{% endmacro %}
{% macro ending_role(step) %}{{ return(2 ** (funnel_step_columns() + step - 1)) }}{% endmacro %}
{% macro start_role() %}{{ return(2 ** 19) }}{% endmacro %}
{% macro following_role() %}{{ return(2 ** 20) }}{% endmacro %}
{% macro repeatable_role() %}{{ return(2 ** 21) }}{% endmacro %}


{# The roles of the event name in a row of int_funnel_event_names, which the query calls `event_names`. #}
{% macro roles_of_event_name(steps) -%}
    {%- set roles = [
        "event_names.is_start * " ~ start_role(),
        "case when event_names.only_step <> 1 or event_names.step_order = 'any' then " ~ following_role()
        ~ " else 0 end",
        "case when event_names.only_step = 0 then " ~ repeatable_role() ~ " else 0 end",
    ] -%}
    {%- for step in range(1, steps + 1) -%}
        {%- do roles.append("event_names.is_step_" ~ step ~ " * " ~ step_role(step)) -%}
    {%- endfor -%}
    {%- for step in range(1, steps) -%}
        {%- do roles.append(
            "case when event_names.ends_after_" ~ step ~ " = 1"
            ~ " or (event_names.is_excluded = 1 and event_names.step_order = 'any') then " ~ ending_role(step)
            ~ " else 0 end"
        ) -%}
    {%- endfor -%}
    ({{ roles | join(" + ") }})
{%- endmacro %}
