{# What the lists suggest and say to operators. #}

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
