-- everybody who left a trace, and when: the first trace at all, and the first under the user's own name
with

session_sightings as (

    select
        user_id,
        min(session_date) as first_seen_date,
        min(case when is_logged_in then session_date end) as identified_from
    from {{ ref("fct_sessions") }}
    group by user_id

),

order_sightings as (

    select
        user_id,
        min(order_date) as first_seen_date,
        min(order_date) as identified_from
    from {{ ref("fct_orders") }}
    where user_id is not null
    group by user_id

),

registrations as (

    select
        user_id,
        {{ local_date("registered_at") }} as first_seen_date,
        {{ local_date("registered_at") }} as identified_from
    from {{ ref("stg_users") }}
    where {{ up_to_as_of(local_date("registered_at")) }}

),

sightings as (

    select * from session_sightings
    union all
    select * from order_sightings
    union all
    select * from registrations

)

select
    user_id,
    min(first_seen_date) as first_seen_date,
    min(identified_from) as identified_from
from sightings
group by user_id
