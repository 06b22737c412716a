{#- Reads the lake itself because staging keeps only the version that counts today. -#}
with

versions as (

    select
        feedback_id,
        user_id,
        event_date as feedback_date,
        lower(coalesce(kind, '')) in ('ticket', 'complaint') as is_ticket,
        score,
        {{ local_date("resolved_at") }} as resolved_date,
        coalesce({{ local_date("updated_at") }}, event_date) as updated_on,
        updated_at,
        _row_hash
    from {{ source("lake", "feedback") }}
    where {{ up_to_as_of("event_date") }}

),

dated_versions as (

    select
        versions.*,
        case when updated_on > feedback_date then updated_on else feedback_date end as known_from,
        row_number() over (
            partition by feedback_id
            order by updated_at nulls first, _row_hash
        ) as version_number
    from versions

)

select
    feedback_id,
    cast(version_number as bigint) as version_number,
    user_id,
    feedback_date,
    is_ticket,
    score,
    resolved_date,
    known_from,
    min(known_from) over (
        partition by feedback_id
        order by version_number
        rows between 1 following and unbounded following
    ) as known_until
from dated_versions
