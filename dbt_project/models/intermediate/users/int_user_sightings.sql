-- everybody who left a trace, with the date of the first one and of the first one under a user id
with

session_sightings as (

    select
        user_id,
        first_session_date as first_seen_date,
        first_logged_in_date as identified_from
    from {{ ref("int_user_activity") }}
    where first_session_date is not null

),

order_sightings as (

    select
        user_id,
        min(order_date) as first_seen_date,
        min(order_date) as identified_from
    from {{ ref("fct_orders") }}
    where user_id is not null
    group by user_id

),

registrations as (

    select
        user_id,
        {{ local_date("registered_at") }} as first_seen_date,
        {{ local_date("registered_at") }} as identified_from
    from {{ ref("int_users") }}
    where {{ up_to_as_of(local_date("registered_at")) }}

),

-- users named by identity links; one named only by links without a date counts as identified from the first trace on
linked_users as (

    select
        coalesce(accounts.user_id, pairs.linked_id) as user_id,
        min({{ local_date("pairs.first_seen_at") }}) as first_seen_date
    from {{ ref("int_identity_pairs") }} as pairs
    left join {{ ref("int_identity_accounts") }} as accounts
        on pairs.linked_id = accounts.account_id
    where pairs.linked_kind = 'user'
    group by coalesce(accounts.user_id, pairs.linked_id)

),

sightings as (

    select
        user_id,
        first_seen_date,
        identified_from,
        0 as is_linked
    from session_sightings

    union all

    select
        user_id,
        first_seen_date,
        identified_from,
        0 as is_linked
    from order_sightings

    union all

    select
        user_id,
        first_seen_date,
        identified_from,
        0 as is_linked
    from registrations

    union all

    select
        user_id,
        first_seen_date,
        first_seen_date as identified_from,
        1 as is_linked
    from linked_users

)

select
    user_id,
    min(first_seen_date) as first_seen_date,
    coalesce(min(identified_from), case when max(is_linked) = 1 then min(first_seen_date) end) as identified_from
from sightings
group by user_id
having min(first_seen_date) is not null
