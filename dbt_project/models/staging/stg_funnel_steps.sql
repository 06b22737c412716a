select
    funnel_id,
    funnel_name_en,
    funnel_name_zh,
    window_seconds,
    step_number,
    step_name,
    event_name
from {{ source("lake_control", "funnel_steps") }}
