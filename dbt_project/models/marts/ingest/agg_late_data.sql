{%- set rows_of_run = "sum(late.loaded_rows) over (partition by late.source, late.entity, late.as_of_date)" -%}

with

rows_by_lateness as (

    select
        source,
        entity,
        as_of_date,
        days_late,
        event_date,
        is_first_load,
        sum(rows_loaded) as loaded_rows,
        sum(case when is_replacement then rows_loaded else 0 end) as replacing_rows,
        max(case when is_restated then 1 else 0 end) as dates_restated
    from {{ ref("int_late_batch_dates") }}
    group by source, entity, as_of_date, days_late, event_date, is_first_load

)

select
    late.source,
    late.entity,
    late.as_of_date,
    cast(late.days_late as integer) as days_late,
    late.event_date,
    late.is_first_load,
    cast(late.loaded_rows as bigint) as loaded_rows,
    {{ share("late.loaded_rows", rows_of_run) }} as share_of_run,
    cast(late.replacing_rows as bigint) as replacing_rows,
    cast(late.dates_restated as integer) as dates_restated,
    cast(coalesce(sessions.sessions, 0) as bigint) as sessions_restated
from rows_by_lateness as late
left join {{ ref("int_late_sessions") }} as sessions
    on
        late.entity = 'events'
        and late.source = sessions.source
        and late.as_of_date = sessions.as_of_date
        and late.event_date = sessions.event_date
