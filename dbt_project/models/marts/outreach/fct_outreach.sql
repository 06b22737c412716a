{%- set window_days = var("outreach").effect.window_days %}

with

-- lists have the user ids of their date, some of which have become one person since
lists as (

    select
        lists.list_name,
        lists.as_of_date,
        lists.list_rank,
        lists.is_holdout,
        lists.first_listed_on,
        lists.user_id as listed_user_id,
        coalesce(accounts.user_id, lists.user_id) as user_id
    from {{ ref("int_contact_lists") }} as lists
    left join {{ ref("int_identity_accounts") }} as accounts
        on lists.user_id = accounts.account_id
    where lists.fate <> 'suppressed'

),

-- a contact without a list belongs to the last one the user was on within two weeks
list_rows as (

    select
        outreach.outreach_id,
        lists.listed_user_id,
        lists.list_name,
        lists.as_of_date as list_date,
        lists.list_rank,
        lists.is_holdout,
        lists.first_listed_on,
        row_number() over (
            partition by outreach.outreach_id
            order by lists.as_of_date desc, lists.list_name, lists.listed_user_id
        ) as list_row_rank
    from {{ ref("int_outreach") }} as outreach
    inner join lists
        on
            outreach.user_id = lists.user_id
            and (outreach.list_name is null or outreach.list_name = lists.list_name)
            and (outreach.list_date is null or outreach.list_date = lists.as_of_date)
            and outreach.outreach_date >= lists.as_of_date
            and (
                outreach.list_date is not null
                or {{ add_days("outreach.outreach_date", -14) }} <= lists.as_of_date
            )

),

linked as (

    select
        outreach.*,
        list_rows.list_name as found_list_name,
        list_rows.list_date as found_list_date,
        list_rows.listed_user_id,
        list_rows.list_rank,
        list_rows.is_holdout,
        list_rows.first_listed_on
    from {{ ref("int_outreach") }} as outreach
    left join list_rows
        on
            outreach.outreach_id = list_rows.outreach_id
            and list_rows.list_row_rank = 1

),

-- from the day after the contact on: activity on the day itself may have come before the contact
outcomes as (

    select
        linked.outreach_id,
        min(days.activity_date) as returned_on
    from linked
    inner join {{ ref("fct_user_days") }} as days
        on
            linked.user_id = days.user_id
            and linked.outreach_date < days.activity_date
            and {{ add_days("linked.outreach_date", window_days) }} >= days.activity_date
    where {{ up_to_as_of("days.activity_date") }}
    group by linked.outreach_id

),

-- from orders, not active days: a refund on a day without a purchase makes no active day
revenues as (

    select
        linked.outreach_id,
        sum(orders.net_amount) as net_revenue
    from linked
    inner join {{ ref("fct_orders") }} as orders
        on
            linked.user_id = orders.user_id
            and linked.outreach_date < orders.order_date
            and {{ add_days("linked.outreach_date", window_days) }} >= orders.order_date
    where
        {{ up_to_as_of("orders.order_date") }}
        and not orders.is_cancelled
    group by linked.outreach_id

)

select
    linked.outreach_id,
    linked.user_id,
    linked.outreach_time as outreach_at,
    linked.outreach_date,
    coalesce(linked.list_name, linked.found_list_name) as list_name,
    coalesce(linked.list_date, linked.found_list_date) as list_date,
    linked.found_list_date is not null as is_on_list,
    coalesce(linked.is_holdout, false) as is_holdout,
    linked.list_rank,
    linked.first_listed_on,
    linked.operator_id,
    linked.team,
    linked.is_contacted,
    linked.channel,
    linked.answered,
    linked.offer,
    linked.result,
    coalesce(warnings.reason_1_code, winbacks.trigger_kind) as reason_code,
    coalesce(warnings.action_code, winbacks.action_code) as action_code,
    {{ add_days("linked.outreach_date", window_days) }} <= {{ as_of() }} as is_complete,
    outcomes.returned_on,
    outcomes.returned_on is not null as has_returned,
    {{ money("coalesce(revenues.net_revenue, 0)") }} as net_revenue
from linked
left join outcomes
    on linked.outreach_id = outcomes.outreach_id
left join revenues
    on linked.outreach_id = revenues.outreach_id
left join {{ ref("churn_warning_list") }} as warnings
    on
        linked.found_list_name = 'churn_warning'
        and linked.found_list_date = warnings.as_of_date
        and linked.listed_user_id = warnings.user_id
left join {{ ref("winback_list") }} as winbacks
    on
        linked.found_list_name = 'winback'
        and linked.found_list_date = winbacks.as_of_date
        and linked.listed_user_id = winbacks.user_id
