-- a date is rewritten when its users, or those of the date before, have been assigned again
{{
    config(
        materialized="incremental",
        incremental_strategy="append",
        on_schema_change="append_new_columns",
        pre_hook="{{ forget_segment_dates(['as_of_date', 'run_version', 'previous_as_of_date', 'previous_run_version']) }}",
    )
}}

with

all_runs as (

    {{ segment_runs() }}

),

runs as (

    select *
    from all_runs
    where {{
        in_segment_dates_to_write(["as_of_date", "run_version", "previous_as_of_date", "previous_run_version"])
    }}

),

current_members as (

    select
        runs.as_of_date,
        segments.user_id,
        segments.segment_id
    from runs
    inner join {{ ref("fct_persona_segments") }} as segments
        on runs.as_of_date = segments.as_of_date

),

previous_members as (

    select
        runs.as_of_date,
        segments.user_id,
        segments.segment_id
    from runs
    inner join {{ ref("fct_persona_segments") }} as segments
        on runs.previous_as_of_date = segments.as_of_date

),

moves as (

    select
        coalesce(current_members.as_of_date, previous_members.as_of_date) as as_of_date,
        current_members.segment_id as segment_now,
        previous_members.segment_id as segment_before
    from current_members
    full join previous_members
        on
            current_members.as_of_date = previous_members.as_of_date
            and current_members.user_id = previous_members.user_id

),

arrivals as (

    select
        as_of_date,
        segment_now,
        count(*) as users,
        count(case when segment_before = segment_now then 1 end) as users_stayed,
        count(case when segment_before <> segment_now then 1 end) as users_moved_in,
        count(case when segment_before is null then 1 end) as users_entered
    from moves
    where segment_now is not null
    group by as_of_date, segment_now

),

departures as (

    select
        as_of_date,
        segment_before,
        count(*) as previous_users,
        count(case when segment_now <> segment_before then 1 end) as users_moved_out,
        count(case when segment_now is null then 1 end) as users_left
    from moves
    where segment_before is not null
    group by as_of_date, segment_before

)

select
    runs.as_of_date,
    profiles.segment_id,
    profiles.name_en as segment_name_en,
    profiles.name_zh as segment_name_zh,
    profiles.distinguishing_en,
    profiles.distinguishing_zh,
    arrivals.users,
    {{ share("arrivals.users", "profiles.segmented_users") }} as user_share,
    profiles.buyers,
    {{ share("profiles.buyers", "arrivals.users") }} as buyer_share,
    profiles.median_days_since_last_active,
    profiles.median_active_days,
    profiles.median_usual_gap_days,
    profiles.median_tenure_days,
    profiles.median_orders,
    {{ money("profiles.median_net_revenue") }} as median_net_revenue,
    profiles.median_discount_share,
    profiles.median_page_views_per_day,
    profiles.median_interactions_per_day,
    runs.previous_as_of_date,
    coalesce(departures.previous_users, 0) as previous_users,
    arrivals.users_stayed,
    arrivals.users_moved_in,
    arrivals.users_entered,
    coalesce(departures.users_moved_out, 0) as users_moved_out,
    coalesce(departures.users_left, 0) as users_left,
    profiles.since as first_found_on,
    profiles.fitted_on,
    profiles.mean_distance,
    profiles.silhouette,
    profiles.model_version,
    runs.run_version,
    runs.previous_run_version
from runs
inner join {{ source("scores", "segment_profiles") }} as profiles
    on
        runs.as_of_date = profiles.as_of_date
        and runs.run_version = profiles.run_version
inner join arrivals
    on
        runs.as_of_date = arrivals.as_of_date
        and profiles.segment_id = arrivals.segment_now
left join departures
    on
        runs.as_of_date = departures.as_of_date
        and profiles.segment_id = departures.segment_before
