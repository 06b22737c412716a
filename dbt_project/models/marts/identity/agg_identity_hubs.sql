select
    as_of_date,
    kind,
    id,
    linked_kind,
    cast(links as bigint) as links,
    first_seen_at,
    last_seen_at
from {{ ref("int_identity_hubs") }}
