select
    event_name,
    category,
    is_activity,
    is_page_view,
    is_interaction,
    is_contribution,
    label_en,
    label_zh
from {{ source("lake_control", "event_taxonomy") }}
