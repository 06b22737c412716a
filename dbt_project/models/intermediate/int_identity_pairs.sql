select
    {{ as_of() }} as as_of_date,
    anonymous_id,
    linked_kind,
    linked_id,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at
from {{ ref("int_identity_links") }}
where {{ up_to_as_of("event_date") }}
group by anonymous_id, linked_kind, linked_id
