{{
    config(
        materialized="incremental",
        incremental_strategy="touched_dates",
        on_schema_change="append_new_columns",
        meta={"business_date": "session_date", "follows": ["fct_sessions", "int_user_segments"]},
        pre_hook="{{ log_rebuilt_dates() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}

with

visits as (

    select
        sessions.session_date,
        sessions.user_id,
        coalesce(sessions.channel, 'unknown') as channel,
        coalesce(sessions.device, 'unknown') as device,
        count(*) as sessions,
        sum(case when sessions.is_bounce then 1 else 0 end) as bounces,
        sum(sessions.duration_seconds) as dwell_seconds,
        sum(sessions.events) as events,
        sum(sessions.page_views) as page_views
    from {{ ref("fct_sessions") }} as sessions
    where {{ in_touched_dates("sessions.session_date") }}
    group by
        sessions.session_date,
        sessions.user_id,
        coalesce(sessions.channel, 'unknown'),
        coalesce(sessions.device, 'unknown')

),

visits_of_users as (

    select
        visits.*,
        users.acquisition_channel,
        visits.session_date = users.first_session_date as is_first_visit
    from visits
    inner join {{ ref("int_user_segments") }} as users
        on visits.user_id = users.user_id

),

visits_of_segments as (

    {% for segment_type, segment_value in [
        ("all", "'all'"),
        ("acquisition_channel", "acquisition_channel"),
        ("channel", "channel"),
        ("device", "device"),
    ] %}
    select
        '{{ segment_type }}' as segment_type,
        {{ segment_value }} as segment_value,
        visits_of_users.*
    from visits_of_users
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select
    session_date,
    segment_type,
    segment_value,
    cast(count(distinct user_id) as bigint) as visitors,
    cast(count(distinct case when is_first_visit then user_id end) as bigint) as new_visitors,
    cast(sum(sessions) as bigint) as sessions,
    cast(sum(bounces) as bigint) as bounces,
    cast(sum(dwell_seconds) as bigint) as dwell_seconds,
    cast(sum(events) as bigint) as events,
    cast(sum(page_views) as bigint) as page_views
from visits_of_segments
group by session_date, segment_type, segment_value
