-- a date is rewritten when its users have been assigned again; all others are kept
{{
    config(
        materialized="incremental",
        incremental_strategy="append",
        on_schema_change="append_new_columns",
        pre_hook="{{ forget_segment_dates(['as_of_date', 'run_version']) }}",
    )
}}

with

runs as (

    {{ segment_runs() }}

)

select
    assignments.user_id,
    assignments.as_of_date,
    assignments.segment_id,
    assignments.distance,
    assignments.model_version,
    assignments.run_version
from {{ source("scores", "segments") }} as assignments
-- Assignments and segment profiles of different runs mean that a run was interrupted: the date then has no segments.
inner join runs
    on
        assignments.as_of_date = runs.as_of_date
        and assignments.run_version = runs.run_version
where {{ in_segment_dates_to_write(["as_of_date", "run_version"], "assignments.as_of_date") }}
