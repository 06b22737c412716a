select
    user_id,
    registered_at,
    gender,
    birth_date,
    region,
    city,
    acquisition_channel,
    referrer_user_id,
    roles,
    consent_email,
    consent_sms,
    consent_push,
    updated_at,
    properties
from (
    {{ one_row_per_key(source("lake", "users"), ["user_id"], ["updated_at desc nulls last", "_row_hash desc"]) }}
) as users
