select
    link_id,
    anonymous_id,
    linked_anonymous_id,
    linked_user_id,
    link_time,
    properties,
    event_date
from (
    {{ one_fact_per_key(source("lake", "identity_links"), "event_date", ["link_id"]) }}
) as identity_links
