with

latest_sightings as (

    select
        anonymous_id,
        user_id,
        row_number() over (partition by anonymous_id order by last_seen_at desc, user_id) as recency
    from {{ ref("int_identity_sightings") }}

)

select
    anonymous_id,
    user_id
from latest_sightings
where recency = 1
