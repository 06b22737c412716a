{{ config(materialized="view") }}

with

exported_links as (

    select
        event_date,
        anonymous_id,
        'user' as linked_kind,
        linked_user_id as linked_id,
        link_time
    from {{ ref("stg_identity_links") }}
    where linked_user_id is not null

    union all

    select
        event_date,
        anonymous_id,
        'device' as linked_kind,
        linked_anonymous_id as linked_id,
        link_time
    from {{ ref("stg_identity_links") }}
    where
        linked_anonymous_id is not null
        and linked_anonymous_id <> anonymous_id

    union all

    select
        event_date,
        linked_anonymous_id as anonymous_id,
        'device' as linked_kind,
        anonymous_id as linked_id,
        link_time
    from {{ ref("stg_identity_links") }}
    where
        linked_anonymous_id is not null
        and linked_anonymous_id <> anonymous_id

),

links as (

    select
        event_date,
        anonymous_id,
        'user' as linked_kind,
        user_id as linked_id,
        first_seen_at,
        last_seen_at
    from {{ ref("int_identity_sightings") }}
    where
        anonymous_id is not null
        and user_id is not null

    union all

    select
        event_date,
        anonymous_id,
        linked_kind,
        linked_id,
        link_time as first_seen_at,
        link_time as last_seen_at
    from exported_links

)

select links.*
from links
left join {{ ref("stg_identity_unbind") }} as unbind
    on
        links.anonymous_id = unbind.anonymous_id
        and links.linked_id = unbind.user_id
        and links.linked_kind = 'user'
where unbind.anonymous_id is null
