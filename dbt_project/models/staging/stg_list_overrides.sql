select
    list_name,
    user_id,
    action,
    valid_from,
    valid_until
from {{ source("lake_control", "list_overrides") }}
