{#
    How old the newest rows of a lake entity are, counted in business dates up to the end of the as-of date, and
    expressed as a time that is as long before now: dbt compares it with the clock. A rerun of an earlier date would
    otherwise always be late.

    An entity without any dated row counts as fresh: it may not exist in this business at all.
#}
{% macro loaded_at_of_entity(entity) %}
    select
        {{ add_seconds(
            dbt.current_timestamp(),
            "-86400 * " ~ days_between("coalesce(max(event_date), " ~ as_of() ~ ")", as_of())
        ) }} as loaded_at
    from {{ source("lake_control", "ingest_batch_dates") }}
    where
        entity = '{{ entity }}'
        and rows_loaded > 0
        and event_date > cast('1970-01-01' as date)
        and {{ up_to_as_of("event_date") }}
{% endmacro %}
