select
    event_id,
    user_id,
    anonymous_id,
    event_time,
    event_name,
    session_id,
    channel,
    device,
    page,
    object_id,
    object_category,
    value as event_value,
    coalesce(currency, '{{ var("currency") }}') as currency,
    properties,
    event_date
from ({{ one_row_per_key(source("lake", "events"), ["event_date", "event_id"], ["_row_hash"]) }}) as events
