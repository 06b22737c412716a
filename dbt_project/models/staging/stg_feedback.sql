select
    feedback_id,
    user_id,
    feedback_time,
    event_date as feedback_date,
    kind,
    score,
    status,
    object_id,
    resolved_at,
    updated_at,
    properties
from (
    {{ one_row_per_key(
        source("lake", "feedback"), ["feedback_id"], [counting_version_first("updated_at", "_row_hash")]
    ) }}
) as feedback
