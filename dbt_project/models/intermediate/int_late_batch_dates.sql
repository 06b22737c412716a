{{ config(materialized="view") }}

with

batches as (

    select *
    from {{ ref("stg_ingest_batches") }}
    where as_of_date is null or {{ up_to_as_of("as_of_date") }}

),

-- A source with batches from before runs were recorded was loaded first by a run nobody knows: no first load date.
first_loads as (

    select
        source,
        case when count(*) = count(as_of_date) then min(as_of_date) end as first_load_date
    from batches
    group by source

),

run_dates as (

    select distinct as_of_date
    from batches
    where as_of_date is not null

),

runs as (

    select
        as_of_date,
        lag(as_of_date) over (order by as_of_date) as previous_as_of_date
    from run_dates

),

replaced_files as (

    select
        source,
        file_path,
        min(batch_seq) as first_seq
    from batches
    where state = 'retired'
    group by source, file_path

)

select
    batches.batch_id,
    batches.source,
    batches.entity,
    batches.as_of_date,
    dates.event_date,
    {{ days_between("dates.event_date", "batches.as_of_date") }} as days_late,
    dates.rows_loaded,
    coalesce(batches.as_of_date = first_loads.first_load_date, false) as is_first_load,
    coalesce(batches.batch_seq > replaced_files.first_seq, false) as is_replacement,
    coalesce(dates.event_date <= runs.previous_as_of_date, false) as is_restated
from batches
inner join {{ ref("stg_ingest_batch_dates") }} as dates
    on
        batches.batch_id = dates.batch_id
        and batches.batch_seq = dates.batch_seq
inner join runs
    on batches.as_of_date = runs.as_of_date
inner join first_loads
    on batches.source = first_loads.source
left join replaced_files
    on
        batches.source = replaced_files.source
        and batches.file_path = replaced_files.file_path
where
    batches.state = 'committed'
    and dates.rows_loaded > 0
    and dates.event_date > cast('1970-01-01' as date)
