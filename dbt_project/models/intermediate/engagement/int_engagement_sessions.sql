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
{#- Visitors of a segment type are counted by an attribute. A user has a single acquisition channel, so the visitors of
    all acquisition channels together are everybody, once. -#}
{%- set visitors_counted_by = {} %}
{%- for segment_type in engagement_segment_types() %}
{%- do visitors_counted_by.update({segment_type: "acquisition_channel" if segment_type == "all" else segment_type}) %}
{%- endfor %}

with

sessions as (

    select
        sessions.session_date,
        sessions.user_id,
        users.acquisition_channel,
        coalesce(sessions.channel, 'unknown') as channel,
        coalesce(sessions.device, 'unknown') as device,
        sessions.session_date = users.first_session_date as is_first_visit,
        sessions.is_bounce,
        sessions.duration_seconds,
        sessions.events,
        sessions.page_views
    from {{ ref("fct_sessions") }} as sessions
    inner join {{ ref("int_user_segments") }} as users
        on sessions.user_id = users.user_id
    where {{ in_touched_dates("sessions.session_date") }}

),

-- every segment is counted from these, which are far fewer rows than sessions
alike_sessions as (

    select
        session_date,
        acquisition_channel,
        channel,
        device,
        count(*) as sessions,
        sum(case when is_bounce then 1 else 0 end) as bounces,
        sum(duration_seconds) as dwell_seconds,
        sum(events) as events,
        sum(page_views) as page_views
    from sessions
    group by session_date, acquisition_channel, channel, device

),

sessions_of_segments as (

    {% for segment_type in engagement_segment_types() %}
    select
        session_date,
        '{{ segment_type }}' as segment_type,
        {{ segment_value(segment_type) }} as segment_value,
        sum(sessions) as sessions,
        sum(bounces) as bounces,
        sum(dwell_seconds) as dwell_seconds,
        sum(events) as events,
        sum(page_views) as page_views
    from alike_sessions
    group by session_date, {{ segment_value(segment_type) }}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

{% for attribute in visitors_counted_by.values() | unique -%}
visitors_by_{{ attribute }} as (

    select distinct
        session_date,
        user_id,
        {{ attribute }},
        is_first_visit
    from sessions

),

{% endfor -%}
visitors_of_segments as (

    {% for segment_type, attribute in visitors_counted_by.items() %}
    select
        session_date,
        '{{ segment_type }}' as segment_type,
        {{ segment_value(segment_type) }} as segment_value,
        count(*) as visitors,
        sum(case when is_first_visit then 1 else 0 end) as new_visitors
    from visitors_by_{{ attribute }}
    group by session_date, {{ segment_value(segment_type) }}
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select
    sessions_of_segments.session_date,
    sessions_of_segments.segment_type,
    sessions_of_segments.segment_value,
    cast(visitors_of_segments.visitors as bigint) as visitors,
    cast(visitors_of_segments.new_visitors as bigint) as new_visitors,
    cast(sessions_of_segments.sessions as bigint) as sessions,
    cast(sessions_of_segments.bounces as bigint) as bounces,
    cast(sessions_of_segments.dwell_seconds as bigint) as dwell_seconds,
    cast(sessions_of_segments.events as bigint) as events,
    cast(sessions_of_segments.page_views as bigint) as page_views
from sessions_of_segments
inner join visitors_of_segments
    on
        sessions_of_segments.session_date = visitors_of_segments.session_date
        and sessions_of_segments.segment_type = visitors_of_segments.segment_type
        and sessions_of_segments.segment_value = visitors_of_segments.segment_value
