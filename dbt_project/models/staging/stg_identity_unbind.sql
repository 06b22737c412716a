select
    anonymous_id,
    user_id
from {{ source("lake_control", "identity_unbind") }}
