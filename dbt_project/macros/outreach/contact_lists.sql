{# Who is on the lists of a date. #}

{# Condition: after a silence of so many days the warning list hands a user over to the win-back list
   (`warning_list.hand_over`). #}
{% macro is_handed_over(days_silent, usual_gap_days, default_gap_days) -%}
    {%- set hand_over = var("warning_list").hand_over -%}
    {%- if hand_over.enabled -%}
        {{ days_silent }} >= greatest(
            {{ var("lifecycle").churned_after_days }},
            ceil(
                coalesce({{ usual_gap_days }}, {{ default_gap_days }}, {{ var("lifecycle").default_gap_days }})
                * {{ hand_over.gap_factor }}
            )
        )
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}


{# Factor by which a newcomer has to be worth more than a listed user to take that user's place on a full list. #}
{% macro keep_factor(list_name) -%}
    case {{ list_name }}
        when 'churn_warning' then cast('{{ var("warning_list").keep_factor }}' as double)
        when 'winback' then cast('{{ var("winback_list").keep_factor }}' as double)
    end
{%- endmacro %}


{# Decisions by hand on one list, under the persons' own user ids. #}
{% macro decisions_by_hand(list_name) -%}
    select
        coalesce(accounts.user_id, overrides.user_id) as user_id,
        overrides.action,
        overrides.valid_from,
        overrides.valid_until
    from {{ ref("stg_list_overrides") }} as overrides
    left join {{ ref("int_identity_accounts") }} as accounts
        on overrides.user_id = accounts.account_id
    where overrides.list_name = '{{ list_name }}'
{%- endmacro %}


{# Pre-hook of int_contact_lists: delete as above, and log the dates this run has to write: once the first one is
   written, the post-hook can no longer tell them from the table. #}
{% macro start_contact_lists() %}
    {% if execute %}
    {% set dates = list_dates_to_write() %}
    {{ forget_list_dates() }};
    delete from pipeline_state.dates_to_list
    where model_name = '{{ this.identifier }}';
    insert into pipeline_state.dates_to_list
    select '{{ this.identifier }}', cast(dates.as_of_date as date)
    from (values {% for day in dates %}('{{ day }}'){{ ", " if not loop.last }}{% endfor %}) as dates (as_of_date)
    {% endif %}
{% endmacro %}


{# Post-hook of int_contact_lists: write the dates after the first one, in order, as each list depends on the one
   before. #}
{% macro continue_contact_lists() %}
    {% if execute %}
    {% set dates = run_query(
        "select as_of_date from pipeline_state.dates_to_list where model_name = '" ~ this.identifier
        ~ "' order by as_of_date"
    ) %}
    {% set columns = get_quoted_csv(adapter.get_columns_in_relation(this) | map(attribute="name")) %}
    {% for row in (dates | list)[1:] %}
    insert into {{ this }} ({{ columns }})
    select {{ columns }}
    from ({{ contact_lists_of(row[0] | string, this) }}) as lists_of_the_day;
    {% endfor %}
    {% endif %}
{% endmacro %}


{#
    Query of the lists of one date: which users of int_contact_candidates are on them, are held out, or would be on
    them but are left alone.

    previous  relation with the lists handed out so far; none: there are none
#}
{% macro contact_lists_of(day, previous) -%}
    {%- set day_literal = "cast('" ~ day ~ "' as date)" -%}
    {%- set worth_order = "worth desc, probability desc, user_id" -%}
    with

    candidates as (

        select *
        from {{ ref("int_contact_candidates") }}
        where as_of_date = {{ day_literal }}

    ),

    handed_out as (

        {% if previous is none %}
        select
            list_name,
            user_id,
            as_of_date,
            is_holdout,
            experiment_from,
            holdout_share
        from (
            select
                candidates.*,
                false as is_holdout,
                as_of_date as experiment_from,
                cast(0 as double) as holdout_share
            from candidates
        ) as nobody
        where false
        {% else %}
        select
            list_name,
            user_id,
            as_of_date,
            is_holdout,
            experiment_from,
            holdout_share
        from {{ previous }}
        where
            as_of_date < {{ day_literal }}
            and fate <> 'suppressed'
        {% endif %}

    ),

    last_lists as (

        select
            list_name,
            max(as_of_date) as last_list_date
        from handed_out
        group by list_name

    ),

    -- the listings since the user's last active day are one episode
    marked as (

        select
            handed_out.*,
            handed_out.as_of_date >= candidates.last_active_date as is_this_episode
        from candidates
        inner join handed_out
            on
                candidates.list_name = handed_out.list_name
                and candidates.user_id = handed_out.user_id

    ),

    memories as (

        select
            list_name,
            user_id,
            max(as_of_date) as last_listed_on,
            min(case when is_this_episode then as_of_date end) as first_listed_on,
            sum(case when is_this_episode then 1 else 0 end) as times_listed,
            {{ first_value_by("case when is_this_episode then is_holdout end", "as_of_date") }} as is_holdout,
            {{ first_value_by("case when is_this_episode then experiment_from end", "as_of_date") }} as experiment_from,
            {{ first_value_by("case when is_this_episode then holdout_share end", "as_of_date") }} as holdout_share
        from marked
        group by list_name, user_id

    ),

    remembered as (

        select
            candidates.*,
            memories.last_listed_on,
            memories.is_holdout as was_holdout,
            coalesce(memories.first_listed_on, candidates.as_of_date) as first_listed_on,
            coalesce(memories.times_listed, 0) + 1 as days_on_list,
            coalesce(memories.experiment_from, {{ experiment_start("candidates.as_of_date") }}) as experiment_from,
            coalesce(memories.holdout_share, cast('{{ var("outreach").holdout.share }}' as double)) as holdout_share,
            coalesce(
                memories.last_listed_on = last_lists.last_list_date
                and memories.last_listed_on >= candidates.last_active_date,
                false
            ) as is_listed_already,
            coalesce(
                memories.last_listed_on < candidates.last_active_date
                and candidates.days_silent < {{ var("warning_list").rest_days }},
                false
            ) as has_just_come_back
        from candidates
        left join memories
            on
                candidates.list_name = memories.list_name
                and candidates.user_id = memories.user_id
        left join last_lists
            on candidates.list_name = last_lists.list_name

    ),

    eligible as (

        select
            remembered.*,
            case
                when suppression_reason in ('removed_by_hand', 'opted_out') then suppression_reason
                when is_manual then null
                when suppression_reason is not null then suppression_reason
                when has_just_come_back then 'active_again'
                when team is null then 'no_team'
            end as left_alone_because,
            not is_manual
            and coalesce(was_holdout, {{ is_held_out("user_id", "experiment_from") }}) as is_holdout,
            worth * case when is_listed_already then {{ keep_factor("list_name") }} else 1 end as priority
        from remembered
        where
            can_enter
            or is_listed_already
            or is_manual

    ),

    -- held out users and those left alone take nobody's place: they are drawn from the same people as those listed
    placed as (

        select
            eligible.*,
            sum(case when left_alone_because is null and not is_holdout then 1 else 0 end) over (
                partition by list_name, team
                order by
                    case when is_manual then 0 else 1 end,
                    priority desc,
                    case when is_listed_already then 0 else 1 end,
                    probability desc,
                    user_id
                rows between unbounded preceding and current row
            ) - case when left_alone_because is null and not is_holdout then 1 else 0 end as places_taken_before
        from eligible

    ),

    within_the_limit as (

        select
            placed.*,
            case
                when left_alone_because is not null then 'suppressed'
                when is_holdout then 'holdout'
                else 'listed'
            end as fate
        from placed
        where places_taken_before < {{ team_limit("list_name", "team") }}

    )

    select
        list_name,
        as_of_date,
        user_id,
        fate,
        case when fate = 'suppressed' then left_alone_because end as suppression_reason,
        cast(
            row_number() over (
                partition by list_name
                order by
                    case fate when 'listed' then 0 when 'holdout' then 1 else 2 end,
                    {{ worth_order }}
            ) as bigint
        ) as list_rank,
        cast(
            row_number() over (
                partition by list_name, team, fate
                order by {{ worth_order }}
            ) as bigint
        ) as team_rank,
        team,
        fate = 'holdout' as is_holdout,
        is_manual,
        first_listed_on,
        cast(days_on_list as bigint) as days_on_list,
        experiment_from,
        cast(holdout_share as double) as holdout_share,
        probability,
        user_value,
        worth,
        value_tier,
        last_active_date,
        cast(days_silent as bigint) as days_silent,
        usual_gap_days,
        silence_band,
        channel,
        preferred_channel,
        region,
        model_version
    from within_the_limit
{%- endmacro %}
