with

-- profiles reach back further than activity, and activity further than events of invitations
invitations_known as (

    select min(event_date) as sending_known_from
    from {{ ref("int_invitation_days") }}

),

activity_known as (

    select
        min(first_seen_date) as first_date,
        min(first_active_date) as activity_known_from
    from {{ ref("dim_users") }}

),

invitees as (

    select
        {{ period_start("month", "referrals.first_seen_date") }} as period_start,
        referrals.user_id,
        referrals.referrer_user_id,
        referrals.first_active_date is not null as is_active,
        referrals.orders > 0 as is_paying,
        referrals.first_seen_date >= activity_known.activity_known_from as is_while_activity_known,
        referrals.first_seen_date >= invitations_known.sending_known_from as is_while_sending_known
    from {{ ref("int_referrals") }} as referrals
    cross join activity_known
    cross join invitations_known
    where referrals.first_seen_date is not null

),

-- The months, and all time as one more period: someone who invites in two months is an inviter of each, but one in all.
accepted as (

    {% for grain, period in [("month", "period_start"), ("total", "cast(null as date)")] %}
    select
        '{{ grain }}' as grain,
        {{ period }} as period_start,
        count(distinct referrer_user_id) as inviters,
        count(*) as invitees,
        sum(case when is_active then 1 else 0 end) as active_invitees,
        sum(case when is_paying then 1 else 0 end) as paying_invitees,
        sum(case when is_while_activity_known then 1 else 0 end) as invitees_since_first_activity,
        sum(case when is_while_sending_known then 1 else 0 end) as invitees_since_first_invitation
    from invitees
    group by {{ period }}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

sent as (

    {% for grain, period in [
        ("month", period_start("month", "event_date")),
        ("total", "cast(null as date)"),
    ] %}
    select
        '{{ grain }}' as grain,
        {{ period }} as period_start,
        count(distinct user_id) as senders,
        sum(invitations) as invitations_sent
    from {{ ref("int_invitation_days") }}
    group by {{ period }}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

newcomers as (

    {% for grain, period in [
        ("month", period_start("month", "first_seen_date")),
        ("total", "cast(null as date)"),
    ] %}
    select
        '{{ grain }}' as grain,
        {{ period }} as period_start,
        count(*) as new_users
    from {{ ref("dim_users") }}
    where first_seen_date is not null
    group by {{ period }}
    {{ "union all" if not loop.last }}
    {% endfor %}

),

active as (

    select
        grain,
        period_start,
        active_users
    from {{ ref("agg_growth_accounting") }}
    where grain = 'month'

    union all

    select
        'total' as grain,
        cast(null as date) as period_start,
        count(*) as active_users
    from {{ ref("dim_users") }}
    where first_active_date is not null

),

days as (

    {{ date_spine("first_date", as_of(), "activity_known") }}

),

months as (

    select distinct {{ period_start("month", "calendar_date") }} as period_start
    from days

),

periods as (

    select
        'month' as grain,
        period_start,
        period_start as joined_period_start,
        {{ next_period_start("month", "period_start") }} <= {{ add_days(as_of(), 1) }} as is_complete
    from months

    union all

    -- all time: it has a beginning, and is never complete
    select
        'total' as grain,
        {{ period_start("month", "first_date") }} as period_start,
        cast(null as date) as joined_period_start,
        false as is_complete
    from activity_known
    where first_date is not null

),

-- before the first event that tells of an invitation, nobody knows how many were sent
periods_with_sending as (

    select
        periods.*,
        case
            when periods.grain = 'total' then invitations_known.sending_known_from is not null
            else
                coalesce(
                    periods.period_start >= {{ period_start("month", "invitations_known.sending_known_from") }}, false
                )
        end as is_sending_known
    from periods
    cross join invitations_known

),

figures as (

    select
        periods.grain,
        periods.period_start,
        periods.is_complete,
        case when periods.is_sending_known then coalesce(sent.senders, 0) end as senders,
        case when periods.is_sending_known then coalesce(sent.invitations_sent, 0) end as invitations_sent,
        coalesce(accepted.inviters, 0) as inviters,
        coalesce(accepted.invitees, 0) as invitees,
        coalesce(accepted.active_invitees, 0) as active_invitees,
        coalesce(accepted.paying_invitees, 0) as paying_invitees,
        coalesce(accepted.invitees_since_first_activity, 0) as invitees_since_first_activity,
        coalesce(accepted.invitees_since_first_invitation, 0) as invitees_since_first_invitation,
        coalesce(newcomers.new_users, 0) as new_users,
        coalesce(active.active_users, 0) as active_users
    from periods_with_sending as periods
    {% for relation in ["accepted", "sent", "newcomers", "active"] %}
    left join {{ relation }}
        on
            periods.grain = {{ relation }}.grain
            and (
                periods.joined_period_start = {{ relation }}.period_start
                or (periods.joined_period_start is null and {{ relation }}.period_start is null)
            )
    {% endfor %}

)

select
    grain,
    period_start,
    cast(senders as bigint) as senders,
    cast(invitations_sent as bigint) as invitations_sent,
    cast(inviters as bigint) as inviters,
    cast(invitees as bigint) as invitees,
    cast(active_invitees as bigint) as active_invitees,
    cast(paying_invitees as bigint) as paying_invitees,
    cast(invitees_since_first_activity as bigint) as invitees_since_first_activity,
    cast(invitees_since_first_invitation as bigint) as invitees_since_first_invitation,
    cast(new_users as bigint) as new_users,
    {{ share("invitees", "new_users") }} as referral_share,
    cast(active_users as bigint) as active_users,
    {{ share("invitees_since_first_activity", "active_users") }} as k_factor,
    {{ share("invitees_since_first_invitation", "invitations_sent") }} as acceptance_rate,
    is_complete
from figures
