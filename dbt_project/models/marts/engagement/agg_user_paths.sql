{%- set settings = var("user_paths") -%}

with

moves as (

    select
        position,
        from_step,
        to_step,
        sum(sessions) as sessions
    from {{ ref("int_path_days") }}
    where
        session_date >= {{ first_path_date() }}
        and {{ up_to_as_of("session_date") }}
    group by position, from_step, to_step

),

steps_by_use as (

    select
        from_step as step,
        row_number() over (order by sum(sessions) desc, from_step) as step_rank
    from moves
    group by from_step

),

-- only the most frequent steps keep their name: a diagram with hundreds of steps is unreadable
moves_between_shown_steps as (

    select
        moves.position,
        coalesce(from_steps.step, '(other)') as from_step,
        case when moves.to_step in ('(end)', '(more)') then moves.to_step else coalesce(to_steps.step, '(other)') end
            as to_step,
        sum(moves.sessions) as sessions
    from moves
    left join steps_by_use as from_steps
        on
            moves.from_step = from_steps.step
            and from_steps.step_rank <= {{ settings.top_steps }}
    left join steps_by_use as to_steps
        on
            moves.to_step = to_steps.step
            and to_steps.step_rank <= {{ settings.top_steps }}
    group by
        moves.position,
        coalesce(from_steps.step, '(other)'),
        case when moves.to_step in ('(end)', '(more)') then moves.to_step else coalesce(to_steps.step, '(other)') end

)

select
    cast(position as integer) as position,
    from_step,
    to_step,
    {{ first_path_date() }} as window_start,
    {{ as_of() }} as window_end,
    cast(sessions as bigint) as sessions,
    {{ share("sessions", "sum(sessions) over (partition by position, from_step)") }} as share_of_step,
    {{ share(
        "sessions", "sum(case when position = 1 then sessions else 0 end) over ()"
    ) }} as share_of_sessions
from moves_between_shown_steps
