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
{%- set last_step = funnel_steps_built() -%}
{%- set reached_numbers = [] -%}
{%- for step in range(1, last_step + 1) -%}
{%- set reaching = list_where("entries.chain", "coded", coded_can("coded", step_part(step))) -%}
{%- do reached_numbers.append("case when " ~ list_size(reaching) ~ " > 0 then '," ~ step ~ "' else '' end") -%}
{%- endfor -%}
{%- set in_time -%}
{{ coded_microseconds("coded") }} <= {{ coded_microseconds(list_element("chain", 1)) }} + time_window
{%- endset -%}
{%- set preceding -%}
{{ coded_neighbour("event_log", "coded", -1) }}
{%- endset -%}

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
-- What an event looks like, whoever did it and whenever: few different values. All events are read a second time for
-- them, which costs less than to keep them.
looks as (

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

-- numbered in the order of events of equal time
kinds as (

    select
        looks.*,
        event_names.funnel_id,
        event_names.funnel_number,
        event_names.step_order,
        event_names.window_seconds,
        event_names.first_step,
        {{ parts_of_event(last_step) }} as parts,
        row_number() over (
            partition by event_names.funnel_number
            order by event_names.event_rank, looks.channel, looks.device
        ) as kind
    from looks
    inner join {{ ref("int_funnel_event_names") }} as event_names
        on looks.event_name = event_names.event_name

),

-- A funnel's events of a user in one list of short values: rows are grouped once, nothing wide is sorted, and what
-- follows is done within the lists.
logs as (

    select
        kinds.funnel_number,
        events.user_id,
        {{ coded_log(coded_event("events.event_time", "kinds.kind", "events.day_shift", "kinds.parts")) }} as event_log
    from events
    inner join kinds
        on
            events.event_name = kinds.event_name
            and events.channel is not distinct from kinds.channel
            and events.device is not distinct from kinds.device
    {% if not rebuilds_everything() %}
    inner join resumptions
        on
            kinds.funnel_number = resumptions.funnel_number
            and events.user_id = resumptions.user_id
            and events.event_time >= resumptions.resumed_at
    {% endif %}
    group by kinds.funnel_number, events.user_id

),

funnels as (

    select
        funnel_number,
        max(step_order) as step_order,
        cast(max(window_seconds) as bigint) * 1000000 as time_window
    from {{ ref("int_funnel_event_names") }}
    group by funnel_number

),

starts as (

    select
        logs.*,
        funnels.step_order,
        funnels.time_window,
        {{ list_where("event_log", "coded", coded_can("coded", start_part())) }} as start_log
    from logs
    inner join funnels
        on logs.funnel_number = funnels.funnel_number

),

-- an entry is a start outside the window of the entry before
entries as (

    select
        funnel_number,
        user_id,
        step_order,
        time_window,
        event_log,
        {{ window_starts("start_log", "time_window") }} as entry_log
    from starts

),

-- Users repeat themselves, and most repetitions decide nothing. Of events in a row that can do the same, the first is
-- the one to take as a step.
followers as (

    select
        entries.*,
        {{ list_where(
            "event_log", "coded",
            coded_can("coded", following_part()) ~ " and (" ~ coded_can("coded", repeatable_part()) ~ " or coalesce("
            ~ coded_parts_differ("coded", preceding) ~ ", true))",
        ) }} as follower_log
    from entries

),

-- Of starts in a row and in one entry the last begins the best chain (its window ends latest): the one before what can
-- follow, or before the next entry. A start that nothing follows within its window gets no further.
attempts as (

    select
        funnel_number,
        user_id,
        step_order,
        time_window,
        entry_log,
        follower_log,
        {{ sorted_list(list_map(
            list_where(
                lists_joined("follower_log", "entry_log"), "coded",
                coded_can(preceding, start_part()) ~ " and " ~ coded_microseconds("coded") ~ " <= "
                ~ coded_microseconds(preceding) ~ " + time_window",
            ),
            "coded", preceding,
        )) }} as attempt_log
    from followers

),

numbered_entries as (

    select
        attempts.*,
        {{ list_numbers("entry_log") }} as entry_number
    from attempts

),

bounded_entries as (

    select
        numbered_entries.*,
        {{ list_element("entry_log", "entry_number") }} as entry,
        {{ list_element("entry_log", "entry_number + 1") }} as next_entry
    from numbered_entries

),

attempts_of_entry as (

    select
        bounded_entries.*,
        {{ list_where(
            "attempt_log", "coded", "coded >= entry and (next_entry is null or coded < next_entry)"
        ) }} as attempts
    from bounded_entries

),

-- an attempt can begin one window after the entry, and goes on for another one
followers_of_entry as (

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
                    "follower_log", "coded",
                    "coded >= entry and " ~ coded_microseconds("coded") ~ " <= " ~ coded_microseconds("entry")
                    ~ " + 2 * time_window",
                ) }}
        end as followers
    from attempts_of_entry

),

-- Attempts are compared one by one, which takes long where there are thousands of them (a shared account, a robot).
-- There one walk through the events of the entry finds the best.
attempts_to_compare as (

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
    from followers_of_entry

),

-- Taking the first event that fits is the best an attempt can do: step after step is added to its chain. Nothing is
-- where an event comes first that ends the attempt there. Where order does not count, each step is looked for from the
-- start on.
chains_to_step_1 as (

    select
        attempts_to_compare.*,
        case
            when step_order <> 'any' then {{ list_map("attempts", "coded", list_of(["coded"])) }}
        end as ordered_chains,
        case
            when step_order = 'any' then {{ list_map("attempts", "coded", list_of(["coded"])) }}
        end as any_chains
    from attempts_to_compare

),
{% for step in range(2, last_step + 1) %}
{%- set next_of_chain = first_of_list(list_where(
    "followers", "coded",
    "coded > " ~ list_element("chain", step - 1) ~ " and "
    ~ coded_can("coded", step_part(step) + ending_part(step - 1)),
)) %}
{%- set chain_with_step = lists_joined(
    "chain", list_where(next_of_chain, "coded", coded_can("coded", step_part(step)) ~ " and " ~ in_time),
) %}

chains_to_step_{{ step }} as (

    select
        funnel_number,
        user_id,
        time_window,
        entry_number,
        entry,
        followers,
        {% if step == 2 %}
        {{ list_where(
            list_map("ordered_chains", "chain", chain_with_step), "chain", list_size("chain") ~ " > 1"
        ) }} as ordered_chains,
        {% else %}
        {{ list_map(
            "ordered_chains", "chain",
            "case when " ~ list_size("chain") ~ " < " ~ (step - 1) ~ " then chain else " ~ chain_with_step ~ " end",
        ) }} as ordered_chains,
        {% endif %}
        any_chains
    from chains_to_step_{{ step - 1 }}

),
{% endfor %}
{%- set ns = namespace(previous="chains_to_step_" ~ last_step) %}
{%- for step in range(1, last_step + 1) %}
{%- set next_of_start = first_of_list(list_where(
    "followers", "coded",
    "coded > " ~ list_element("chain", 1) ~ " and " ~ coded_can("coded", step_part(step) + ending_part(1)),
)) %}

chains_with_step_{{ step }} as (

    select
        funnel_number,
        user_id,
        time_window,
        entry_number,
        entry,
        followers,
        ordered_chains,
        {{ list_map(
            "any_chains", "chain",
            "case when " ~ coded_can(list_element("chain", 1), step_part(step)) ~ " then chain else "
            ~ lists_joined(
                "chain", list_where(next_of_start, "coded", coded_can("coded", step_part(step)) ~ " and " ~ in_time),
            ) ~ " end",
        ) }} as any_chains
    from {{ ns.previous }}

),
{%- set ns.previous = "chains_with_step_" ~ step %}
{% endfor %}

-- the attempt that gets furthest, of equally good ones the latest; one that gets no further than its start is none
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

entries_with_chain as (

    select
        funnel_number,
        user_id,
        entry_number,
        entry,
        {{ coded_kind("entry") }} as kind,
        {{ coded_day_shift("entry") }} as day_shift,
        case when {{ list_size("any_chain") }} > 1 then any_chain else ordered_chain end as chain
    from best_chains

)

select
    kinds.funnel_id,
    entries.user_id,
    cast(
        entries.entry_number{{ " + resumptions.entries_kept" if not rebuilds_everything() }} as integer
    ) as entry_number,
    kinds.step_order,
    {{ coded_time("entries.entry") }} as entered_at,
    {{ add_days("cast(" ~ coded_time("entries.entry") ~ " as date)", "entries.day_shift") }} as cohort_date,
    kinds.channel,
    kinds.device,
    {{ coded_time("coalesce(" ~ list_element("entries.chain", 1) ~ ", entries.entry)") }} as step_1_at,
    {% for step in range(2, funnel_step_columns() + 1) %}
    {{ coded_time(list_element("entries.chain", step)) if step <= last_step else "cast(null as timestamp)" }}
        as step_{{ step }}_at,
    {% endfor %}
    cast(coalesce({{ list_size("entries.chain") }}, 1) as integer) as max_step,
    case
        when entries.chain is null then cast(kinds.first_step as {{ dbt.type_string() }})
        when kinds.step_order = 'any' then substring({{ dbt.concat(reached_numbers) }}, 2)
        {% for step in range(2, last_step + 1) %}
        when {{ list_size("entries.chain") }} = {{ step }} then '{{ range(1, step + 1) | join(",") }}'
        {% endfor %}
    end as steps_reached
from entries_with_chain as entries
inner join kinds
    on
        entries.funnel_number = kinds.funnel_number
        and entries.kind = kinds.kind
{% if not rebuilds_everything() %}
inner join resumptions
    on
        entries.funnel_number = resumptions.funnel_number
        and entries.user_id = resumptions.user_id
{% endif %}
