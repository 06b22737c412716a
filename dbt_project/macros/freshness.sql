{#
    How old the newest rows of a lake entity are, counted in business dates up to the end of the as-of date, as a moment in
    the past that dbt can compare with now. Counted against the clock, a rerun of an earlier date would always be late.

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
