select
    funnel_id,
    segment_type
from {{ source("lake_control", "funnel_segments") }}
