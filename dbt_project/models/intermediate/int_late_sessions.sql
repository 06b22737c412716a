{#-
    Sessions that late events changed are looked up once, right after the run that brought the events, and only in the
    files of the dates the events fall on.
-#}
{{
    config(
        materialized="incremental",
        incremental_strategy="append",
        on_schema_change="sync_all_columns",
        pre_hook="{{ forget_changed_late_sessions() }}",
    )
}}

with

runs_to_look_at as (

    {{ late_event_runs() }}
    {% if is_incremental() %}
    except
    select
        as_of_date,
        source,
        event_date,
        late_rows
    from {{ this }}
    {% endif %}

),

batches_to_look_at as (

    select
        batches.batch_id,
        runs.as_of_date,
        runs.source,
        runs.event_date
    from {{ ref("int_late_batch_dates") }} as batches
    inner join runs_to_look_at as runs
        on
            batches.as_of_date = runs.as_of_date
            and batches.source = runs.source
            and batches.event_date = runs.event_date
            and batches.entity = 'events'

),

late_rows as (

    select distinct
        batches.as_of_date,
        batches.source,
        batches.event_date,
        events.event_id
    from {{ source("lake", "events") }} as events
    inner join batches_to_look_at as batches
        on
            events._batch_id = batches.batch_id
            and events.event_date = batches.event_date
    where {{ in_late_dates("events.event_date") }}

),

late_events as (

    select
        late_rows.as_of_date,
        late_rows.source,
        events.event_date,
        events.user_id,
        events.source_session_id,
        events.event_time
    from {{ ref("int_events") }} as events
    inner join late_rows
        on
            events.event_date = late_rows.event_date
            and events.event_id = late_rows.event_id
    where {{ in_late_dates("events.event_date") }}

),

late_sessions as (

    select
        late_events.as_of_date,
        late_events.source,
        late_events.event_date,
        count(distinct sessions.session_key) as sessions
    from late_events
    inner join {{ ref("fct_sessions") }} as sessions
        on
            late_events.event_date = sessions.session_date
            and late_events.user_id = sessions.user_id
            and late_events.event_time >= sessions.started_at
            and late_events.event_time <= sessions.ended_at
            and coalesce(late_events.source_session_id, '') = coalesce(sessions.source_session_id, '')
    where {{ in_late_dates("sessions.session_date") }}
    group by late_events.as_of_date, late_events.source, late_events.event_date

)

select
    runs.as_of_date,
    runs.source,
    runs.event_date,
    runs.late_rows,
    cast(coalesce(late_sessions.sessions, 0) as bigint) as sessions
from runs_to_look_at as runs
left join late_sessions
    on
        runs.as_of_date = late_sessions.as_of_date
        and runs.source = late_sessions.source
        and runs.event_date = late_sessions.event_date
