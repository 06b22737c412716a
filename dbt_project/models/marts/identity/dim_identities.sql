with

ids as (

    select
        'device' as kind,
        anonymous_id as id
    from {{ ref("int_identity_sightings") }}
    where anonymous_id is not null

    union

    select
        'device' as kind,
        anonymous_id as id
    from {{ ref("int_identity_pairs") }}

    union

    select
        'user' as kind,
        user_id as id
    from {{ ref("int_identity_sightings") }}
    where user_id is not null

    union

    select
        'user' as kind,
        linked_id as id
    from {{ ref("int_identity_pairs") }}
    where linked_kind = 'user'

    union

    select
        'user' as kind,
        exported_user_id as id
    from {{ ref("fct_orders") }}
    where exported_user_id is not null

    union

    select
        'user' as kind,
        user_id as id
    from {{ ref("stg_users") }}

),

persons as (

    select
        node,
        count(*) over (partition by component) as linked_ids
    from {{ ref("int_identity_components") }}
    where graph = 'persons'

),

hubs as (

    select distinct
        kind,
        id
    from {{ ref("int_identity_hubs") }}

),

joined as (

    select
        ids.kind,
        ids.id,
        hubs.id is not null as is_hub,
        accounts.user_id as account_user_id,
        devices.user_id as device_user_id,
        devices.is_direct,
        cast(coalesce(persons.linked_ids, 1) as bigint) as linked_ids
    from ids
    left join {{ ref("int_identity_accounts") }} as accounts
        on
            ids.id = accounts.account_id
            and ids.kind = 'user'
    left join {{ ref("int_identity_map") }} as devices
        on
            ids.id = devices.anonymous_id
            and ids.kind = 'device'
    left join hubs
        on
            ids.kind = hubs.kind
            and ids.id = hubs.id
    left join persons
        on persons.node = {{ identity_node("ids.kind", "ids.id") }}

)

select
    kind,
    id,
    {{ resolved_user_id("account_user_id", "case when kind = 'user' then id end", "device_user_id", "id") }} as user_id,
    case
        when kind = 'user' and account_user_id <> id then 'merged'
        when kind = 'user' then 'own'
        when is_hub then 'hub'
        when is_direct then 'login'
        when device_user_id is not null then 'linked'
        else 'none'
    end as link,
    is_hub,
    linked_ids
from joined
