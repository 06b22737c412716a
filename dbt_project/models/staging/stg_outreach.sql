select
    outreach_id,
    user_id,
    outreach_time,
    event_date as outreach_date,
    list_name,
    list_date,
    operator_id,
    team,
    coalesce(contacted, true) as is_contacted,
    channel,
    answered,
    offer,
    result,
    updated_at
from (
    {{ one_row_per_key(
        source("lake", "outreach"), ["outreach_id"], [counting_version_first("updated_at", "_row_hash")]
    ) }}
) as outreach
