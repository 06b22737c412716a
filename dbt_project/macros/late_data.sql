{# Runs and earlier dates they brought events for: (as_of_date, source, event_date, late_rows), first loads left out. #}
{% macro late_event_runs() -%}
    select
        as_of_date,
        source,
        event_date,
        sum(rows_loaded) as late_rows
    from {{ ref("int_late_batch_dates") }}
    where
        entity = 'events'
        and days_late > 0
        and not is_first_load
    group by as_of_date, source, event_date
{%- endmacro %}


{# Condition: int_late_sessions has not looked at the date yet. The dates are fetched while compiling, so that only
   their Parquet folders are read. #}
{% macro in_late_dates(business_date) -%}
    {%- if not execute or not is_incremental() -%}
        {{ return(up_to_as_of(business_date)) }}
    {%- endif -%}
    {%- set wanted = [] -%}
    {%- for row in run_query(
        "select distinct event_date from (" ~ late_event_runs()
        ~ " except select as_of_date, source, event_date, late_rows from " ~ this ~ ") as runs order by event_date"
    ) -%}
        {%- do wanted.append(row[0]) -%}
    {%- endfor -%}
    {{ return(business_date ~ " in (" ~ date_literals(wanted) ~ ")" if wanted else "false") }}
{%- endmacro %}


{# Pre-hook of int_late_sessions: delete the rows of runs up to the as-of date whose late rows have changed, so that
   they are looked at again. #}
{% macro forget_changed_late_sessions() %}
    {% if is_incremental() %}
    delete from {{ this }} as stored
    where
        stored.as_of_date <= {{ as_of() }}
        and not exists (
            select 1
            from ({{ late_event_runs() }}) as runs
            where
                runs.as_of_date = stored.as_of_date
                and runs.source = stored.source
                and runs.event_date = stored.event_date
                and runs.late_rows = stored.late_rows
        )
    {% endif %}
{% endmacro %}
