{# What an incremental run of fct_funnel_progress makes again: of users with changed events, the entries still open
   then. #}

{# Query of the users being rebuilt, each with a UTC time before which none of their events has changed: one day before
   the first changed business date, as that date may begin a day earlier in UTC. #}
{% macro users_with_changed_events() -%}
    select
        changed_users.user_id,
        cast({{ add_days("changed_users.changed_from", -1) }} as timestamp) as changed_at
    from ({{ users_being_rebuilt() }}) as changed_users
{%- endmacro %}


{# Condition: events from `changed_at` on can still change the progress of an entry. Its last attempt starts up to one
   window after it, and lasts for another one. #}
{% macro entry_is_open_at(entered_at, window_seconds, changed_at) -%}
    {{ add_seconds(entered_at, "2 * " ~ window_seconds) }} >= {{ changed_at }}
{%- endmacro %}


{#
    Query of where to resume each funnel of the users being rebuilt: funnel_number, user_id, resumed_at, entries_kept.

    Entries that were over before the user's events changed are kept, and counted. The others are made again, starting
    from the first that was still open. Where none was open, that is from the change on: a start between the last
    entry's window and the change would be an entry itself, so there is none.
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


{# Condition on a stored entry: this run makes it again. #}
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


{# Query of the cohort dates on which two queries of entries, those stored and those this run made, differ. entry_number
   and steps_reached are not compared: agg_funnel_conversion does not depend on them. #}
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
