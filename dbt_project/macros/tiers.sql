{#
    The kinds of tiers, each with its tiers from the lowest to the highest and their Chinese names. A kind is a column
    of int_user_tier_history and of fct_user_tiers.
#}
{% macro tier_kinds() %}
    {{ return([
        {"kind": "value_tier", "tiers": [
            ["none", "无消费"], ["low", "低净值"], ["medium", "中净值"], ["high", "高净值"],
        ]},
        {"kind": "frequency_tier", "tiers": [
            ["none", "未活跃"], ["low", "低频"], ["medium", "中频"], ["high", "高频"],
        ]},
        {"kind": "tenure_tier", "tiers": [["new", "新用户"], ["old", "老用户"]]},
        {"kind": "buyer_tier", "tiers": [
            ["none", "未购买"], ["one_time", "首购"], ["repeat", "复购"], ["loyal", "忠诚"],
        ]},
        {"kind": "seller_tier", "tiers": [
            ["none", "无销售"], ["low", "小卖家"], ["medium", "中卖家"], ["high", "大卖家"],
        ]},
        {"kind": "author_tier", "tiers": [
            ["none", "未发布"], ["low", "轻度作者"], ["medium", "中度作者"], ["high", "高产作者"],
        ]},
        {"kind": "reader_tier", "tiers": [
            ["none", "未浏览"], ["low", "轻度读者"], ["medium", "中度读者"], ["high", "重度读者"],
        ]},
        {"kind": "moderator_tier", "tiers": [["none", "无管理行为"], ["active", "活跃管理员"]]},
    ]) }}
{% endmacro %}


{# Chinese name of the tier in a column of one kind. #}
{% macro tier_zh(kind, tier) -%}
    case {{ tier }}
        {%- for item in (tier_kinds() | selectattr("kind", "equalto", kind) | first).tiers %}
        when '{{ item[0] }}' then '{{ item[1] }}'
        {%- endfor %}
    end
{%- endmacro %}


{#
    Type of a column with the tiers of one kind. They are text for everybody who reads them; an engine that knows a type
    for the texts of a short list stores and compares their places in it.
#}
{% macro tier_type(kind) -%}
    {{ return(adapter.dispatch("tier_type", "userops")(kind)) }}
{%- endmacro %}

{% macro default__tier_type(kind) -%}
    {{ dbt.type_string() }}
{%- endmacro %}

{% macro duckdb__tier_type(kind) -%}
    enum(
        {%- for item in (tier_kinds() | selectattr("kind", "equalto", kind) | first).tiers -%}
        '{{ item[0] }}'{{ ", " if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}


{# One tier of a kind, in the type of its column. #}
{% macro tier(kind, name) -%}
    cast('{{ name }}' as {{ tier_type(kind) }})
{%- endmacro %}


{#
    Numbers of the judged dates, the latest being 1. At most there are the week ends, the as-of date, and the month
    ends before the week ends (any 31 days hold a month end).
#}
{% macro judged_numbers() %}
    {% set weeks = var("tiers").judged_weeks | int %}
    {% set months_within_weeks = (7 * weeks - 1) // 31 %}
    {% set months_before = [var("tiers").history_months | int - months_within_weeks, 1] | max %}
    {{ return(range(1, weeks + months_before + 2)) }}
{% endmacro %}


{#
    A column `<name>_<number>` for each judged date: 1.0 where the calendar date is within so many days up to the
    judged date, else 0.0. Floating-point, because that sums fastest, and exactly for whole numbers.
#}
{% macro window_marks(name, window_days) -%}
    {%- for number in judged_numbers() %}
    cast(
        max(
            case
                when
                    judged_dates.judged_number = {{ number }}
                    and calendar.calendar_date <= judged_dates.judged_on
                    and calendar.calendar_date > {{ add_days("judged_dates.judged_on", "-" ~ window_days) }}
                    then 1
                else 0
            end
        ) as double
    ) as {{ name }}_{{ number }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{#
    Rows of a relation with columns `<measure>_<number>` as one row per number of a judged date, with the column
    `judged_number`, the measures by their names, and the kept columns.
#}
{% macro row_per_judged_number(relation, kept, measures) -%}
    {{ return(adapter.dispatch("row_per_judged_number", "userops")(relation, kept, measures)) }}
{%- endmacro %}

{% macro default__row_per_judged_number(relation, kept, measures) -%}
    {%- for number in judged_numbers() %}
    select
        {{ kept | join(", ") }},
        {%- for measure in measures %}
        {{ measure }}_{{ number }} as {{ measure }},
        {%- endfor %}
        {{ number }} as judged_number
    from {{ relation }}
    {{ "union all" if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# The rows of a user stay together, which halves the time that storing their id takes. #}
{% macro duckdb__row_per_judged_number(relation, kept, measures) -%}
    select
        {{ kept | join(", ") }},
        {%- for measure in measures %}
        unnest([
            {%- for number in judged_numbers() %}{{ measure }}_{{ number }}{{ ", " if not loop.last }}{% endfor -%}
        ]) as {{ measure }},
        {%- endfor %}
        unnest([{{ judged_numbers() | join(", ") }}]) as judged_number
    from {{ relation }}
{%- endmacro %}


{# The last ranks of the high and of the medium tier among so many users: the top shares of `tiers`. Decimals, so that
   a fifth of ten is exactly two. #}
{% macro last_ranks_of_tiers(ranked) %}
    {% set high = "cast('" ~ var("tiers").value_high_share ~ "' as decimal(9, 6))" %}
    {% set medium = "cast('" ~ var("tiers").value_medium_share ~ "' as decimal(9, 6))" %}
    {{ return({
        "high": "ceil(" ~ ranked ~ " * " ~ high ~ ")",
        "medium": "ceil(" ~ ranked ~ " * (" ~ high ~ " + " ~ medium ~ "))",
    }) }}
{% endmacro %}


{#
    Query of the lowest high and the lowest medium amount at each judged date, with the user they belong to. Amounts
    are in columns `<measure>_<number>` of a relation with a user_id; those above zero are ranked, ties by user id.
#}
{% macro rank_limits(relation, measure) -%}
    {%- set last_ranks = last_ranks_of_tiers("ranked_users") -%}
    select
        judged_number,
        max(case when amount_rank = {{ last_ranks.high }} then amount end) as high_amount,
        max(case when amount_rank = {{ last_ranks.high }} then user_id end) as high_user_id,
        max(case when amount_rank = {{ last_ranks.medium }} then amount end) as medium_amount,
        max(case when amount_rank = {{ last_ranks.medium }} then user_id end) as medium_user_id
    from (
        select
            judged_number,
            user_id,
            amount,
            row_number() over (partition by judged_number order by amount desc, user_id) as amount_rank,
            count(*) over (partition by judged_number) as ranked_users
        from (
            {%- for number in judged_numbers() %}
            select
                {{ number }} as judged_number,
                user_id,
                {{ measure }}_{{ number }} as amount
            from {{ relation }}
            where {{ measure }}_{{ number }} > 0
            {{ "union all" if not loop.last }}
            {%- endfor %}
        ) as amounts
    ) as ranked_amounts
    group by judged_number
{%- endmacro %}


{# The tier (high, medium, low, none) of an amount, by the limits that `rank_limits` gives. #}
{% macro tier_by_rank(kind, amount, user_id, limits) -%}
    case
        when coalesce({{ amount }}, 0) <= 0 then {{ tier(kind, "none") }}
        {%- for name in ("high", "medium") %}
        when
            {{ amount }} > {{ limits }}.{{ name }}_amount
            or ({{ amount }} = {{ limits }}.{{ name }}_amount and {{ user_id }} <= {{ limits }}.{{ name }}_user_id)
            then {{ tier(kind, name) }}
        {%- endfor %}
        else {{ tier(kind, "low") }}
    end
{%- endmacro %}


{#
    Columns for list_value_tier: `value_rank`, the rank of a user among those of the list's date by what they are
    worth, and `ranked_users`, how many are worth anything. As with other tiers, users worth nothing are not ranked;
    ties go by the columns `ties`.
#}
{% macro list_value_ranks(user_value, ties) -%}
    row_number() over (
        partition by as_of_date, {{ user_value }} > 0
        order by {{ user_value }} desc, {{ ties }}
    ) as value_rank,
    count(*) over (partition by as_of_date, {{ user_value }} > 0) as ranked_users
{%- endmacro %}


{# The value tier on a list (high, medium, low), by the ranks of list_value_ranks; users worth nothing are low. #}
{% macro list_value_tier(user_value) -%}
    {%- set last_ranks = last_ranks_of_tiers("ranked_users") -%}
    case
        when coalesce({{ user_value }}, 0) <= 0 then 'low'
        when value_rank <= {{ last_ranks.high }} then 'high'
        when value_rank <= {{ last_ranks.medium }} then 'medium'
        else 'low'
    end
{%- endmacro %}


{# The tier (high, medium, low, none) of a count, by two thresholds. #}
{% macro tier_by_count(kind, count, high, medium) -%}
    case
        when {{ count }} >= {{ high }} then {{ tier(kind, "high") }}
        when {{ count }} >= {{ medium }} then {{ tier(kind, "medium") }}
        when {{ count }} > 0 then {{ tier(kind, "low") }}
        else {{ tier(kind, "none") }}
    end
{%- endmacro %}


{# Chinese name of a level. #}
{% macro level_zh(level) -%}
    {{ dbt.concat(["cast(" ~ level ~ " as " ~ dbt.type_string() ~ ")", "' 级'"]) }}
{%- endmacro %}
