-- everybody is first seen in one month
with

months as (

    select
        coalesce(sum(invitees), 0) as invitees,
        coalesce(sum(new_users), 0) as new_users,
        sum(invitations_sent) as invitations_sent
    from {{ ref("agg_referrals") }}
    where grain = 'month'

)

select
    totals.invitees,
    months.invitees as invitees_of_months
from {{ ref("agg_referrals") }} as totals
cross join months
where
    totals.grain = 'total'
    and (
        totals.invitees <> months.invitees
        or totals.new_users <> months.new_users
        or coalesce(totals.invitations_sent, -1) <> coalesce(months.invitations_sent, -1)
    )
