select
    funnel_id,
    event_name,
    after_step
from {{ source("lake_control", "funnel_exclusions") }}
