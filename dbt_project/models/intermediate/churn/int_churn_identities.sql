{#-
    Who was who at each observation date: the rules of int_identity_map and int_identity_accounts on the links that had
    been seen by then.
-#}
with

links as (

    {% for day in var("feature_dates") %}
    select
        cast('{{ day }}' as date) as as_of_date,
        anonymous_id,
        linked_kind,
        linked_id,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from {{ ref("int_identity_links") }}
    where event_date <= cast('{{ day }}' as date)
    group by anonymous_id, linked_kind, linked_id
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

hubs as (

    {{ hub_ids("links") }}

),

trusted_links as (

    {{ trusted_links("links", "hubs") }}

),

edges as (

    {{ identity_edges("trusted_links") }}

),

components as (

    {{ connected_components("edges", ["as_of_date", "graph"]) }}

),

accounts as (

    {{ account_owners("trusted_links", "components") }}

),

owners as (

    {{ device_owners("trusted_links", "components") }}

)

select
    owners.as_of_date,
    'device' as kind,
    owners.anonymous_id as id,
    coalesce(accounts.user_id, owners.user_id) as user_id
from owners
left join accounts
    on
        owners.as_of_date = accounts.as_of_date
        and owners.user_id = accounts.account_id

union all

select
    as_of_date,
    'user' as kind,
    account_id as id,
    user_id
from accounts
