-- where steps are events, every session of the window takes a first step (where they are pages, some have none)
with

started as (

    select coalesce(sum(sessions), 0) as sessions
    from {{ ref("agg_user_paths") }}
    where position = 1

),

held as (

    select count(*) as sessions
    from {{ ref("fct_sessions") }}
    where session_date >= {{ first_path_date() }}

)

select
    started.sessions as sessions_started,
    held.sessions as sessions_held
from started
cross join held
where
    started.sessions > held.sessions
    or (started.sessions < held.sessions and '{{ var("user_paths").step }}' = 'event_name')
