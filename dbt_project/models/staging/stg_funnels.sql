select
    funnel_id,
    step_order
from {{ source("lake_control", "funnels") }}
