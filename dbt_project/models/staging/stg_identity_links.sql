select
    link_id,
    anonymous_id,
    linked_anonymous_id,
    linked_user_id,
    link_time,
    properties,
    event_date
from (
    {{ one_row_per_key(source("lake", "identity_links"), ["event_date", "link_id"], ["_row_hash"]) }}
) as identity_links
