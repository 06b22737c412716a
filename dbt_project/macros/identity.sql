{#
    Who is who. Links say that two ids belong to one person: a device and a user seen together in an event, and what
    the entity identity_links says. Pairs on the unbind list say nothing.

    The macros below work on links as known on one or several dates (`as_of_date`): the marts ask for the as-of date,
    the churn features for each of their observation dates, and both get the same answer for the same date. A link
    between two devices is there in both directions.

    1. hub_ids            ids with more links than any person has: shared devices, robots
    2. trusted_links      links that touch no hub
    3. identity_edges     two graphs: `devices` (links between devices only) and `persons` (all links)
    4. device_owners      whom a device's anonymous events are credited to
    5. account_owners     which user stands for several linked accounts, when `identity.merge_accounts` is on
#}

{# Ids with too many links: (as_of_date, kind, id, linked_kind, links, first_seen_at, last_seen_at). #}
{% macro hub_ids(links) -%}
    {%- set settings = var("identity") -%}
    select
        as_of_date,
        'device' as kind,
        anonymous_id as id,
        linked_kind,
        count(*) as links,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from {{ links }}
    group by as_of_date, anonymous_id, linked_kind
    having
        (linked_kind = 'user' and count(*) > {{ settings.max_users_per_device }})
        or (linked_kind = 'device' and count(*) > {{ settings.max_devices_per_user }})
    union all
    select
        as_of_date,
        'user' as kind,
        linked_id as id,
        'device' as linked_kind,
        count(*) as links,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from {{ links }}
    where linked_kind = 'user'
    group by as_of_date, linked_id
    having count(*) > {{ settings.max_devices_per_user }}
{%- endmacro %}


{# Links that touch no hub. All hubs are found before any link is cut, so their order makes no difference. #}
{% macro trusted_links(links, hubs) -%}
    select links.*
    from {{ links }} as links
    left join {{ hubs }} as device_hubs
        on
            links.as_of_date = device_hubs.as_of_date
            and links.anonymous_id = device_hubs.id
            and device_hubs.kind = 'device'
    left join {{ hubs }} as linked_hubs
        on
            links.as_of_date = linked_hubs.as_of_date
            and links.linked_id = linked_hubs.id
            and links.linked_kind = linked_hubs.kind
    where
        device_hubs.id is null
        and linked_hubs.id is null
{%- endmacro %}


{# Edges for connected_components: (as_of_date, graph, node_a, node_b). #}
{% macro identity_edges(links) -%}
    select
        as_of_date,
        'persons' as graph,
        {{ identity_node("'device'", "anonymous_id") }} as node_a,
        {{ identity_node("linked_kind", "linked_id") }} as node_b
    from {{ links }}
    union all
    select
        as_of_date,
        'devices' as graph,
        {{ identity_node("'device'", "anonymous_id") }} as node_a,
        {{ identity_node("'device'", "linked_id") }} as node_b
    from {{ links }}
    where linked_kind = 'device'
{%- endmacro %}


{# Name of an id in the graphs; it says the kind, as a device and a user may have the same id. #}
{% macro identity_node(kind, id) -%}
    {{ dbt.concat([kind, "':'", id]) }}
{%- endmacro %}


{#
    The user of each device that has one: (as_of_date, anonymous_id, user_id, is_direct).
    The user the device itself was last seen with; for a device that never had a login, the user last seen on any
    device it is linked with, over any number of links. Ties: the smallest user id.
#}
{% macro device_owners(links, components) -%}
    with

    own_users as (

        select
            as_of_date,
            anonymous_id,
            linked_id as user_id,
            last_seen_at,
            row_number() over (
                partition by as_of_date, anonymous_id
                order by last_seen_at desc nulls last, linked_id
            ) as recency
        from {{ links }}
        where linked_kind = 'user'

    ),

    own_latest_users as (

        select * from own_users
        where recency = 1

    ),

    device_groups as (

        select
            as_of_date,
            node,
            component
        from {{ components }}
        where graph = 'devices'

    ),

    group_users as (

        select
            device_groups.as_of_date,
            device_groups.component,
            own_latest_users.user_id,
            row_number() over (
                partition by device_groups.as_of_date, device_groups.component
                order by own_latest_users.last_seen_at desc nulls last, own_latest_users.user_id
            ) as recency
        from own_latest_users
        inner join device_groups
            on
                own_latest_users.as_of_date = device_groups.as_of_date
                and {{ identity_node("'device'", "own_latest_users.anonymous_id") }} = device_groups.node

    ),

    linked_devices as (

        select distinct
            as_of_date,
            anonymous_id,
            {{ identity_node("'device'", "anonymous_id") }} as node
        from {{ links }}
        where linked_kind = 'device'

    )

    select
        as_of_date,
        anonymous_id,
        user_id,
        true as is_direct
    from own_latest_users

    union all

    select
        linked_devices.as_of_date,
        linked_devices.anonymous_id,
        group_users.user_id,
        false as is_direct
    from linked_devices
    inner join device_groups
        on
            linked_devices.as_of_date = device_groups.as_of_date
            and linked_devices.node = device_groups.node
    inner join group_users
        on
            device_groups.as_of_date = group_users.as_of_date
            and device_groups.component = group_users.component
            and group_users.recency = 1
    left join own_latest_users
        on
            linked_devices.as_of_date = own_latest_users.as_of_date
            and linked_devices.anonymous_id = own_latest_users.anonymous_id
    where own_latest_users.anonymous_id is null
{%- endmacro %}


{#
    Accounts that are one person: (as_of_date, account_id, user_id), where user_id is the account seen first in any of
    its links (ties: the smallest id). No rows while `identity.merge_accounts` is off: then every account is its own.
#}
{% macro account_owners(links, components) -%}
    select
        as_of_date,
        account_id,
        first_value(account_id) over (
            partition by as_of_date, component
            order by first_seen_at nulls last, account_id
        ) as user_id
    from (
        select
            links.as_of_date,
            links.linked_id as account_id,
            components.component,
            min(links.first_seen_at) as first_seen_at
        from {{ links }} as links
        inner join {{ components }} as components
            on
                links.as_of_date = components.as_of_date
                and components.graph = 'persons'
                and {{ identity_node("links.linked_kind", "links.linked_id") }} = components.node
        where
            links.linked_kind = 'user'
            and {{ var("identity").merge_accounts | lower }}
        group by links.as_of_date, links.linked_id, components.component
    ) as accounts
{%- endmacro %}


{# The person of an event: the logged-in user (of accounts that are one person, that person), else the user whom the
   device is credited to, else the visitor of that device. #}
{% macro resolved_user_id(account_user_id, user_id, mapped_user_id, anonymous_id) -%}
    coalesce({{ account_user_id }}, {{ user_id }}, {{ mapped_user_id }}, {{ dbt.concat(["'anon:'", anonymous_id]) }})
{%- endmacro %}


{# Query of who is credited with what: the owner of each device, the person of each account that is another one's. #}
{% macro current_identities() -%}
    select
        'device' as kind,
        anonymous_id as id,
        user_id
    from {{ ref("int_identity_map") }}
    union all
    select
        'account' as kind,
        account_id as id,
        user_id
    from {{ ref("int_identity_accounts") }}
    where account_id <> user_id
{%- endmacro %}


{# Post-hook of int_events: keep the identities its events are credited by. In the model's transaction, so that they
   always match what is stored. #}
{% macro remember_identities() %}
    {% if execute %}
    delete from pipeline_state.credited_identities;
    insert into pipeline_state.credited_identities
    {{ current_identities() }};
    {% endif %}
{% endmacro %}


{# Query of the user days to credit again: days with events of devices and accounts whose person has changed since
   int_events was built, for the person before and the person now. Taken from the sightings, which are far fewer than
   the events. #}
{% macro restitched_user_days() -%}
    with

    changed as (

        select
            coalesce(stored.kind, found.kind) as kind,
            coalesce(stored.id, found.id) as id,
            stored.user_id as user_before,
            found.user_id as user_now
        from pipeline_state.credited_identities as stored
        full join ({{ current_identities() }}) as found
            on
                stored.kind = found.kind
                and stored.id = found.id
        where
            stored.user_id is null
            or found.user_id is null
            or stored.user_id <> found.user_id

    ),

    sightings as (

        select
            sightings.event_date as business_date,
            {{ resolved_user_id("null", "null", "changed.user_before", "sightings.anonymous_id") }} as user_before,
            {{ resolved_user_id("null", "null", "changed.user_now", "sightings.anonymous_id") }} as user_now
        from {{ ref("int_identity_sightings") }} as sightings
        inner join changed
            on
                sightings.anonymous_id = changed.id
                and changed.kind = 'device'
        where sightings.user_id is null

        union all

        select
            sightings.event_date as business_date,
            coalesce(changed.user_before, sightings.user_id) as user_before,
            coalesce(changed.user_now, sightings.user_id) as user_now
        from {{ ref("int_identity_sightings") }} as sightings
        inner join changed
            on
                sightings.user_id = changed.id
                and changed.kind = 'account'

    )

    select business_date, user_before as user_id from sightings
    union
    select business_date, user_now as user_id from sightings
{%- endmacro %}
