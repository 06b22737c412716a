{# The churn-warning and the win-back list: teams, hold-out, and the dates lists are made for. #}

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


{# Name of the first team whose conditions a user fulfils; null where there is none. #}
{% macro team_of(user_id, region, channel, value_tier) -%}
    {%- set outreach = var("outreach") -%}
    {%- if not outreach.teams -%}
        'default'
    {%- else -%}
        case
            {%- for team in outreach.teams %}
            {%- set conditions = [] %}
            {%- if team.regions %}{% do conditions.append(region ~ " in (" ~ text_literals(team.regions) ~ ")") %}{% endif %}
            {%- if team.channels %}{% do conditions.append(channel ~ " in (" ~ text_literals(team.channels) ~ ")") %}{% endif %}
            {%- if team.value_tiers %}
            {%- do conditions.append(value_tier ~ " in (" ~ text_literals(team.value_tiers) ~ ")") %}
            {%- endif %}
            {%- if team.share is not none %}
            {%- set drawn = drawn_share(dbt.concat(["'team:" ~ team.name ~ ":'", user_id])) %}
            {%- do conditions.append(drawn ~ " < cast('" ~ team.share ~ "' as double)") %}
            {%- endif %}
            when {{ conditions | join(" and ") if conditions else "true" }} then '{{ team.name }}'
            {%- endfor %}
        end
    {%- endif -%}
{%- endmacro %}


{# Longest list of a team. #}
{% macro team_limit(list_name, team) -%}
    {%- set settings = {"churn_warning": var("warning_list"), "winback": var("winback_list")} -%}
    {%- set of_team = {"churn_warning": "max_warning_users", "winback": "max_winback_users"} -%}
    case
        {%- for list in settings %}
        {%- for team_settings in var("outreach").teams if team_settings[of_team[list]] is not none %}
        when {{ list_name }} = '{{ list }}' and {{ team }} = '{{ team_settings.name }}'
            then cast('{{ team_settings[of_team[list]] }}' as bigint)
        {%- endfor %}
        when {{ list_name }} = '{{ list }}' then cast('{{ settings[list].max_users }}' as bigint)
        {%- endfor %}
    end
{%- endmacro %}


{# Factor by which a newcomer has to be worth more than a listed user to take that user's place on a full list. #}
{% macro keep_factor(list_name) -%}
    case {{ list_name }}
        when 'churn_warning' then cast('{{ var("warning_list").keep_factor }}' as double)
        when 'winback' then cast('{{ var("winback_list").keep_factor }}' as double)
    end
{%- endmacro %}


{# First day of the experiment that a date belongs to. #}
{% macro experiment_start(day) -%}
    {{ period_start(var("outreach").holdout.window, day) }}
{%- endmacro %}


{# Whether a user is held out in the experiment that starts on a date: drawn once per user and experiment. #}
{% macro is_held_out(user_id, experiment_start_date) -%}
    {%- set holdout = var("outreach").holdout -%}
    {%- set salt = "'" ~ (holdout.salt | replace("'", "''")) ~ ":'" -%}
    {%- set date_text = "cast(" ~ experiment_start_date ~ " as " ~ dbt.type_string() ~ ")" -%}
    {{ drawn_share(dbt.concat([salt, date_text, "':'", user_id])) }} < cast('{{ holdout.share }}' as double)
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


{#
    Dates that a model with one block of rows per list date has to write, in order: scored dates after the last stored
    one, and always the as-of date. A list that was handed out is made again only by running its own date again.
#}
{% macro list_dates_to_write() %}
    {% set scores = ref("fct_churn_scores") %}
    {% if not execute %}{{ return([var("as_of_date")]) }}{% endif %}
    {% set dates = [] %}
    {% set held = "" %}
    {% if is_incremental() %}
        {% set held = " and as_of_date > coalesce((select max(as_of_date) from " ~ this
            ~ " where as_of_date < " ~ as_of() ~ "), cast('1970-01-01' as date))" %}
    {% endif %}
    {% for row in run_query(
        "select distinct as_of_date from " ~ scores
        ~ " where as_of_date < " ~ as_of() ~ held ~ " order by as_of_date"
    ) %}
        {% do dates.append(row[0] | string) %}
    {% endfor %}
    {% do dates.append(var("as_of_date")) %}
    {{ return(dates) }}
{% endmacro %}


{# Condition: the date is one of those to write. #}
{% macro in_list_dates_to_write(as_of_column) -%}
    {{ as_of_column }} in ({{ date_literals(list_dates_to_write()) }})
{%- endmacro %}


{# Pre-hook of such a model: delete the as-of date and everything after it. #}
{% macro forget_list_dates() %}
    {% if is_incremental() %}
    delete from {{ this }}
    where as_of_date >= {{ as_of() }}
    {% endif %}
{% endmacro %}


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


{#
    Query of what the best rule suggests for each listed user. Of the rules of a seed that apply, it is the one that
    names a value in the first column, then in the second, and so on; a rule has `*` where any value will do.

    listed: CTE with a row per as-of date and user; told_by: {column of the seed: the listed user's value for it}.
#}
{% macro suggested_actions(listed, rules, told_by) -%}
    select
        {{ listed }}.as_of_date,
        {{ listed }}.user_id,
        rules.action_code,
        rules.suggested_action_en,
        rules.suggested_action_zh,
        rules.incentive_code,
        rules.incentive_en,
        rules.incentive_zh,
        row_number() over (
            partition by {{ listed }}.as_of_date, {{ listed }}.user_id
            order by
                {%- for column in told_by %}
                case when rules.{{ column }} = '*' then 1 else 0 end{{ "," if not loop.last }}
                {%- endfor %}
        ) as rule_rank
    from {{ listed }}
    inner join {{ rules }} as rules
        on
            {%- for column, value in told_by.items() %}
            {{ "and " if not loop.first }}rules.{{ column }} in ({{ value }}, '*')
            {%- endfor %}
{%- endmacro %}


{# Lengths of silence that churned users are grouped by: number, first day, name. #}
{% macro winback_silence_bands() %}
    {% set unit = var("lifecycle").churned_after_days | int %}
    {% set bands = [] %}
    {% set factors = [1, 2, 3, 6] %}
    {% for factor in factors %}
        {% set last_day = none if loop.last else unit * factors[loop.index] - 1 %}
        {% do bands.append({
            "number": loop.index,
            "from_days": unit * factor,
            "name": (unit * factor) ~ ("+" if last_day is none else "-" ~ last_day),
        }) %}
    {% endfor %}
    {{ return(bands) }}
{% endmacro %}


{# Query of these lengths of silence: silence_band, from_days. #}
{% macro winback_silence_bands_table() -%}
    {%- for band in winback_silence_bands() %}
    select
        {{ band.number }} as silence_band,
        {{ band.from_days }} as from_days
    {{- " union all" if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{#
    Query of the lengths of silence from which the chance to come back is counted: silence_step, from_days. Most who come
    back do so early, so the chance falls fast at first and the first steps are short.
#}
{% macro winback_silence_steps_table() -%}
    {% set unit = var("lifecycle").churned_after_days | int %}
    {% set starts = [] %}
    {% for sixths in [6, 7, 8, 9, 10, 11, 12, 15, 18, 24, 36, 72] %}
        {% set from_days = unit * sixths // 6 %}
        {% do starts.append(from_days) if from_days not in starts %}
    {% endfor %}
    {%- for from_days in starts %}
    select
        {{ loop.index }} as silence_step,
        {{ from_days }} as from_days
    {{- " union all" if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{# Name of a length of silence, such as `30-59`, in days. #}
{% macro silence_band_name(silence_band) -%}
    case {{ silence_band }}
        {%- for band in winback_silence_bands() %}
        when {{ band.number }} then '{{ band.name }}'
        {%- endfor %}
    end
{%- endmacro %}


{#
    A sentence, in `en` or `zh`, on what preceded the return of users of the same value from the same length of
    silence; null where nothing is known.
#}
{% macro return_trigger_sentence(language, kind, value, returns, similar_returns, silence_band) -%}
    {%- set days = var("winback_list").trigger_days -%}
    {%- set sentences = {
        "en": {
            "contact": ["had been contacted (", ") in the " ~ days ~ " days before"],
            "campaign": ["had campaign ", " in the " ~ days ~ " days before"],
            "coupon": ["used coupon ", ""],
            "category": ["bought ", ""],
            "channel": ["came through ", ""],
        },
        "zh": {
            "contact": ["人在此前 " ~ days ~ " 天内被联系过（", "）"],
            "campaign": ["人在此前 " ~ days ~ " 天内收到活动 ", ""],
            "coupon": ["人使用了优惠券 ", ""],
            "category": ["人购买了 ", ""],
            "channel": ["人来自 ", ""],
        },
    } -%}
    {%- set returns_text = "cast(" ~ returns ~ " as " ~ dbt.type_string() ~ ")" -%}
    {%- set similar_text = "cast(" ~ similar_returns ~ " as " ~ dbt.type_string() ~ ")" -%}
    case {{ kind }}
        {%- for name, parts in sentences[language].items() %}
        when '{{ name }}' then
            {%- if language == "en" %}
            {{ dbt.concat([
                "'Of '", similar_text, "' returns of users of this value after '", silence_band_name(silence_band),
                "' days, '", returns_text, "' " ~ parts[0] ~ "'", value,
                "'" ~ parts[1] ~ ".'",
            ]) }}
            {%- else %}
            {{ dbt.concat([
                "'同价值层级用户沉默 '", silence_band_name(silence_band), "' 天后的 '", similar_text, "' 次回流中，'",
                returns_text, "' " ~ parts[0] ~ "'", value,
                "'" ~ parts[1] ~ "。'",
            ]) }}
            {%- endif %}
        {%- endfor %}
    end
{%- endmacro %}


{# Chinese name of why somebody is left alone. #}
{% macro suppression_reason_zh(reason) -%}
    case {{ reason }}
        when 'removed_by_hand' then '人工移出'
        when 'opted_out' then '拒绝触达'
        when 'complaint_open' then '投诉未处理'
        when 'contacted_lately' then '近期已联系'
        when 'active_again' then '刚刚回归'
        when 'no_team' then '无对应团队'
        when 'holdout' then '随机对照组'
    end
{%- endmacro %}
