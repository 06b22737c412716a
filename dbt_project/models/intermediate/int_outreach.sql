select
    outreach.outreach_id,
    coalesce(accounts.user_id, outreach.user_id) as user_id,
    outreach.outreach_time,
    outreach.outreach_date,
    outreach.list_name,
    outreach.list_date,
    outreach.operator_id,
    outreach.team,
    outreach.is_contacted,
    outreach.channel,
    outreach.answered,
    outreach.offer,
    outreach.result
from {{ ref("stg_outreach") }} as outreach
left join {{ ref("int_identity_accounts") }} as accounts
    on outreach.user_id = accounts.account_id
