{{
    config(
        materialized="incremental",
        incremental_strategy="touched_dates",
        on_schema_change="append_new_columns",
        meta={
            "business_date": "event_date",
            "user_column": "user_id",
            "follows": ["lake:events"],
            "stale_dates": "reconverted_dates",
            "rebuilds_user_days": true,
            "stale_user_days": "restitched_user_days",
        },
        pre_hook="{{ log_rebuilt_dates() }}",
        post_hook=["{{ remember_identities() }}", "{{ save_watermarks() }}"],
    )
}}
-- read by reconverted_dates and restitched_user_days, which are only rendered when dbt runs
-- depends_on: {{ ref("stg_exchange_rates") }}
-- depends_on: {{ ref("int_identity_sightings") }}

with

{% set user_days = in_user_days("event_date", "user_id") %}
events as (

    select
        event_date,
        event_id,
        user_id,
        anonymous_id,
        event_time,
        event_name,
        session_id,
        channel,
        device,
        page,
        object_id,
        object_category,
        event_value,
        currency,
        exchange_rate
    from {{ ref("stg_events") }}
    where {{ in_touched_dates("event_date") }}
    {% if user_days %}

    union all

    -- events of devices and accounts whose person has changed: all else about them is as stored
    select
        event_date,
        event_id,
        login_user_id as user_id,
        anonymous_id,
        event_time,
        event_name,
        source_session_id as session_id,
        channel,
        device,
        page,
        object_id,
        object_category,
        event_value,
        currency,
        exchange_rate
    from {{ this }}
    where {{ user_days }}
    {% endif %}

),

resolved as (

    select
        events.*,
        events.user_id is not null as is_logged_in,
        events.user_id is not null or identities.user_id is not null as is_identified,
        {{ resolved_user_id(
            "accounts.user_id", "events.user_id", "identities.user_id", "events.anonymous_id"
        ) }} as resolved_user_id
    from events
    left join {{ ref("int_identity_accounts") }} as accounts
        on events.user_id = accounts.account_id
    left join {{ ref("int_identity_map") }} as identities
        on events.anonymous_id = identities.anonymous_id

)

select
    resolved.event_date,
    resolved.event_id,
    resolved.resolved_user_id as user_id,
    resolved.is_identified,
    resolved.is_logged_in,
    resolved.user_id as login_user_id,
    resolved.anonymous_id,
    resolved.event_time,
    resolved.event_name,
    coalesce(taxonomy.category, 'other') as event_category,
    coalesce(taxonomy.is_activity, {{ var("unlisted_is_activity") | lower }}) as is_activity,
    coalesce(taxonomy.is_page_view, false) as is_page_view,
    coalesce(taxonomy.is_interaction, false) as is_interaction,
    coalesce(taxonomy.is_contribution, false) as is_contribution,
    resolved.session_id as source_session_id,
    resolved.channel,
    resolved.device,
    resolved.page,
    resolved.object_id,
    resolved.object_category,
    resolved.event_value,
    resolved.currency,
    resolved.exchange_rate
from resolved
left join {{ ref("stg_event_taxonomy") }} as taxonomy
    on resolved.event_name = taxonomy.event_name
