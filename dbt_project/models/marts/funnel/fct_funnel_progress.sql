{{
    config(
        materialized="incremental",
        incremental_strategy="touched_users",
        on_schema_change="append_new_columns",
        meta={
            "user_column": "user_id",
            "follows": ["int_events"],
            "settings": ["funnels_fingerprint", "funnel_max_steps"],
            "rows_to_replace": "in_entries_to_replace",
            "dates_of_changed_rows": "cohorts_of_changed_entries",
        },
        pre_hook="{{ log_rebuilt_keys() }}",
        post_hook="{{ save_watermarks() }}",
    )
}}
{#
    How it works, shown for an ordered funnel viewed -> in_cart -> paid with a window of 7 days and a user who did

        day      1     3     4     9     10    20
        event    view  view  cart  pay   view  view

    1. All events of the user in the funnel become one sorted list, event_log: [1, 3, 4, 9, 10, 20].
    2. entry_log: the starts outside the window of the entry before. Day 3 is in the window of day 1: [1, 10, 20].
    3. follower_log: the events that can be a step after the start: [4, 9].
    4. attempt_log: the starts worth an attempt: [3]. Day 1 can get no further than day 3, whose window ends later, and
       nothing follows days 10 and 20 within their windows.
    5. Every entry takes the attempts up to the next entry. Each attempt becomes a chain that grows by the first event
       that fits the next step: [3], [3, 4], [3, 4, 9].
    6. The longest chain is the entry's progress. An entry without a chain has reached its start only:

        entry_number  entered_at  step_1_at  step_2_at  step_3_at  max_step
        1             day 1       day 3      day 4      day 9      3
        2             day 10      day 10                           1
        3             day 20      day 20                           1

    Each event in a list is one short value (macros/funnel/packed_events.sql), so events are grouped by user once and
    everything else happens within the lists. In a funnel of any order a start may be any step, and 5. looks for each
    step from the start on. An incremental run reads only users whose events have changed, from the first of their
    entries that was still open at the change (macros/funnel/incremental.sql).
#}
{%- set last_step = funnel_steps_built() -%}
{%- set numbers_of_steps_reached = [] -%}
{%- for step in range(1, last_step + 1) -%}
{%- set events_of_step = list_where("entries.chain", "event", event_has_role("event", step_role(step))) -%}
{%- do numbers_of_steps_reached.append(
    "case when " ~ list_size(events_of_step) ~ " > 0 then '," ~ step ~ "' else '' end"
) -%}
{%- endfor -%}

with

{% if rebuilds_everything() %}
events as (

    select
        user_id,
        event_time,
        {{ days_between("cast(event_time as date)", "event_date") }} as day_shift,
        event_name,
        channel,
        device
    from {{ ref("int_events") }}

),

{% else %}
resumptions as (

    {{ funnel_resumptions() }}

),

resumed_users as (

    select
        user_id,
        min(resumed_at) as resumed_at
    from resumptions
    group by user_id

),

events as (

    select
        events.user_id,
        events.event_time,
        {{ days_between("cast(events.event_time as date)", "events.event_date") }} as day_shift,
        events.event_name,
        events.channel,
        events.device
    from {{ ref("int_events") }} as events
    inner join resumed_users
        on
            events.user_id = resumed_users.user_id
            and events.event_time >= resumed_users.resumed_at

),

{% endif %}
-- What events look like apart from who did them and when: few different rows. They cost a second reading of all events,
-- which is cheaper than keeping those in memory.
event_variants as (

    select distinct
        event_name,
        channel,
        device
    from {{ ref("int_events") if rebuilds_everything() else "events" }}
    where
        event_name in (
            select event_names.event_name
            from {{ ref("int_funnel_event_names") }} as event_names
        )

),

-- numbered in the order in which events of equal time are read
numbered_variants as (

    select
        event_variants.*,
        event_names.funnel_id,
        event_names.funnel_number,
        event_names.step_order,
        event_names.window_seconds,
        event_names.first_step,
        {{ roles_of_event_name(last_step) }} as roles,
        row_number() over (
            partition by event_names.funnel_number
            order by event_names.event_rank, event_variants.channel, event_variants.device
        ) as variant
    from event_variants
    inner join {{ ref("int_funnel_event_names") }} as event_names
        on event_variants.event_name = event_names.event_name

),

event_logs as (

    select
        variants.funnel_number,
        events.user_id,
        {{ sorted_event_log(
            packed_event("events.event_time", "variants.variant", "events.day_shift", "variants.roles")
        ) }} as event_log
    from events
    inner join numbered_variants as variants
        on
            events.event_name = variants.event_name
            and events.channel is not distinct from variants.channel
            and events.device is not distinct from variants.device
    {% if not rebuilds_everything() %}
    inner join resumptions
        on
            variants.funnel_number = resumptions.funnel_number
            and events.user_id = resumptions.user_id
            and events.event_time >= resumptions.resumed_at
    {% endif %}
    group by variants.funnel_number, events.user_id

),

funnels as (

    select
        funnel_number,
        max(step_order) as step_order,
        cast(max(window_seconds) as bigint) * 1000000 as time_window
    from {{ ref("int_funnel_event_names") }}
    group by funnel_number

),

start_logs as (

    select
        event_logs.*,
        funnels.step_order,
        funnels.time_window,
        {{ list_where("event_log", "event", event_has_role("event", start_role())) }} as start_log
    from event_logs
    inner join funnels
        on event_logs.funnel_number = funnels.funnel_number

),

entry_logs as (

    select
        funnel_number,
        user_id,
        step_order,
        time_window,
        event_log,
        {{ entry_log("start_log", "time_window") }} as entry_log
    from start_logs

),

follower_logs as (

    select
        entry_logs.*,
        {{ follower_log("event_log") }} as follower_log
    from entry_logs

),

attempt_logs as (

    select
        funnel_number,
        user_id,
        step_order,
        time_window,
        entry_log,
        follower_log,
        {{ attempt_log("event_log", "follower_log", "entry_log") }} as attempt_log
    from follower_logs

),

numbered_entries as (

    select
        attempt_logs.*,
        {{ list_positions("entry_log") }} as entry_number
    from attempt_logs

),

bounded_entries as (

    select
        numbered_entries.*,
        {{ list_element("entry_log", "entry_number") }} as entry,
        {{ list_element("entry_log", "entry_number + 1") }} as next_entry
    from numbered_entries

),

entries_with_attempts as (

    select
        bounded_entries.*,
        {{ list_where(
            "attempt_log", "event", "event >= entry and (next_entry is null or event < next_entry)"
        ) }} as attempts
    from bounded_entries

),

-- the last attempt starts up to one window after the entry, and lasts for another one
entries_with_followers as (

    select
        funnel_number,
        user_id,
        step_order,
        time_window,
        entry_number,
        entry,
        next_entry,
        attempts,
        case
            when {{ list_size("attempts") }} > 0
                then {{ list_where(
                    "follower_log", "event",
                    "event >= entry and " ~ event_microseconds("event") ~ " <= " ~ event_microseconds("entry")
                    ~ " + 2 * time_window",
                ) }}
        end as followers
    from entries_with_attempts

),

-- Attempts are compared one by one. Where an entry has thousands of them (a shared account, a robot), that would take
-- too long: only the best one is kept here.
entries_with_few_attempts as (

    select
        funnel_number,
        user_id,
        step_order,
        time_window,
        entry_number,
        entry,
        followers,
        case
            when {{ list_size("attempts") }} <= {{ compared_attempts() }} then attempts
            when step_order = 'any' then {{ best_start_in_any_order("followers", "attempts", last_step) }}
            else {{ best_start_in_order("followers", "attempts", last_step) }}
        end as attempts
    from entries_with_followers

),

-- every attempt begins a chain; funnels whose steps have an order go on in one column, the others in another
chains_of_starts as (

    select
        entries_with_few_attempts.*,
        case
            when step_order <> 'any' then {{ list_map("attempts", "event", list_of(["event"])) }}
        end as ordered_chains,
        case
            when step_order = 'any' then {{ list_map("attempts", "event", list_of(["event"])) }}
        end as any_chains
    from entries_with_few_attempts

),
{% set ns = namespace(previous="chains_of_starts") %}
{%- for step in range(2, last_step + 1) %}

ordered_chains_to_step_{{ step }} as (

    select
        funnel_number,
        user_id,
        time_window,
        entry_number,
        entry,
        followers,
        {% if step == 2 %}
        {{ list_where(
            list_map("ordered_chains", "chain", chain_with_step("chain", 2, after=1)),
            "chain", list_size("chain") ~ " > 1",
        ) }} as ordered_chains,
        {% else %}
        {{ list_map("ordered_chains", "chain", chain_with_next_step("chain", step)) }} as ordered_chains,
        {% endif %}
        any_chains
    from {{ ns.previous }}

),
{%- set ns.previous = "ordered_chains_to_step_" ~ step %}
{%- endfor %}
{%- for step in range(1, last_step + 1) %}

any_chains_with_step_{{ step }} as (

    select
        funnel_number,
        user_id,
        time_window,
        entry_number,
        entry,
        followers,
        ordered_chains,
        {{ list_map("any_chains", "chain", chain_with_any_step("chain", step)) }} as any_chains
    from {{ ns.previous }}

),
{%- set ns.previous = "any_chains_with_step_" ~ step %}
{%- endfor %}

-- of equally long chains the latest
best_chains as (

    select
        funnel_number,
        user_id,
        entry_number,
        entry,
        {{ longest_list("ordered_chains") }} as ordered_chain,
        {{ sorted_list(longest_list("any_chains")) }} as any_chain
    from {{ ns.previous }}

),

-- without a chain where no attempt got further than its start
entries_with_chain as (

    select
        funnel_number,
        user_id,
        entry_number,
        entry,
        {{ event_variant("entry") }} as variant,
        {{ event_day_shift("entry") }} as day_shift,
        case when {{ list_size("any_chain") }} > 1 then any_chain else ordered_chain end as chain
    from best_chains

)

select
    variants.funnel_id,
    entries.user_id,
    cast(
        entries.entry_number{{ " + resumptions.entries_kept" if not rebuilds_everything() }} as integer
    ) as entry_number,
    variants.step_order,
    {{ event_timestamp("entries.entry") }} as entered_at,
    {{ add_days("cast(" ~ event_timestamp("entries.entry") ~ " as date)", "entries.day_shift") }} as cohort_date,
    variants.channel,
    variants.device,
    {{ event_timestamp("coalesce(" ~ list_element("entries.chain", 1) ~ ", entries.entry)") }} as step_1_at,
    {% for step in range(2, funnel_step_columns() + 1) %}
    {{ event_timestamp(list_element("entries.chain", step)) if step <= last_step else "cast(null as timestamp)" }}
        as step_{{ step }}_at,
    {% endfor %}
    cast(coalesce({{ list_size("entries.chain") }}, 1) as integer) as max_step,
    case
        when entries.chain is null then cast(variants.first_step as {{ dbt.type_string() }})
        when variants.step_order = 'any' then substring({{ dbt.concat(numbers_of_steps_reached) }}, 2)
        {% for step in range(2, last_step + 1) %}
        when {{ list_size("entries.chain") }} = {{ step }} then '{{ range(1, step + 1) | join(",") }}'
        {% endfor %}
    end as steps_reached
from entries_with_chain as entries
inner join numbered_variants as variants
    on
        entries.funnel_number = variants.funnel_number
        and entries.variant = variants.variant
{% if not rebuilds_everything() %}
inner join resumptions
    on
        entries.funnel_number = resumptions.funnel_number
        and entries.user_id = resumptions.user_id
{% endif %}
