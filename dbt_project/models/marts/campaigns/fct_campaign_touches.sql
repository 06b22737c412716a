select
    touches.touch_id,
    touches.campaign_id,
    coalesce(accounts.user_id, touches.user_id) as user_id,
    touches.touch_time as touched_at,
    case when touches.touch_time is not null then touches.event_date end as touch_date,
    touches.channel,
    touches.variant,
    touches.outcome,
    touches.properties
from {{ ref("stg_campaign_touches") }} as touches
left join {{ ref("int_identity_accounts") }} as accounts
    on touches.user_id = accounts.account_id
