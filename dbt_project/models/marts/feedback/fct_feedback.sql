select
    feedback.feedback_id,
    coalesce(accounts.user_id, feedback.user_id) as user_id,
    feedback.feedback_time as given_at,
    feedback.feedback_date,
    feedback.kind,
    feedback.score,
    feedback.status,
    feedback.object_id,
    feedback.resolved_at,
    feedback.updated_at,
    feedback.properties
from {{ ref("stg_feedback") }} as feedback
left join {{ ref("int_identity_accounts") }} as accounts
    on feedback.user_id = accounts.account_id
