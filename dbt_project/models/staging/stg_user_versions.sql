select
    users.user_id,
    users.registered_at,
    users.gender,
    users.region,
    users.city,
    users.acquisition_channel,
    users.referrer_user_id,
    users.roles,
    users.consent_email,
    users.consent_sms,
    users.consent_push,
    users.updated_at,
    users._row_hash as row_hash
from {{ source("lake", "users") }} as users
where {{ up_to_as_of("users.event_date") }}
