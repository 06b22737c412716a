with

events as (

    select
        events.*,
        coalesce(events.currency, '{{ var("currency") }}') as value_currency
    from (
        {{ one_fact_per_key(source("lake", "events"), "event_date", ["event_id"], ref("stg_repeated_events")) }}
    ) as events

)

select
    events.event_id,
    events.user_id,
    events.anonymous_id,
    events.event_time,
    events.event_name,
    events.session_id,
    events.channel,
    events.device,
    events.page,
    events.object_id,
    events.object_category,
    {{ in_project_currency("events.value") }} as event_value,
    events.value_currency as currency,
    {{ exchange_rate() }} as exchange_rate,
    events.properties,
    events.event_date
from events
{{ join_exchange_rates("events.value_currency", "events.event_date") }}
