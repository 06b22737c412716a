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
            ["none", "静默"], ["low", "低频"], ["medium", "中频"], ["high", "高频"],
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


{# Place of a tier within its kind, 1 = lowest. #}
{% macro tier_place(kind, tier) -%}
    case {{ tier }}
        {%- for item in (tier_kinds() | selectattr("kind", "equalto", kind) | first).tiers %}
        when '{{ item[0] }}' then {{ loop.index }}
        {%- endfor %}
    end
{%- endmacro %}


{# high, medium or low by rank among all that are ranked: the top shares of `tiers`. Decimals, so that a fifth of ten
   is two. #}
{% macro tier_by_rank(rank, ranked) -%}
    {%- set tiers = var("tiers") -%}
    case
        when {{ rank }} is null then 'none'
        when {{ rank }} <= ceil({{ ranked }} * cast('{{ tiers.value_high_share }}' as decimal(9, 6))) then 'high'
        when
            {{ rank }} <= ceil(
                {{ ranked }}
                * (
                    cast('{{ tiers.value_high_share }}' as decimal(9, 6))
                    + cast('{{ tiers.value_medium_share }}' as decimal(9, 6))
                )
            )
            then 'medium'
        else 'low'
    end
{%- endmacro %}


{# high, medium, low or none by a count and two thresholds. #}
{% macro tier_by_count(count, high, medium) -%}
    case
        when {{ count }} >= {{ high }} then 'high'
        when {{ count }} >= {{ medium }} then 'medium'
        when {{ count }} > 0 then 'low'
        else 'none'
    end
{%- endmacro %}


{# Chinese name of a level. #}
{% macro level_zh(level) -%}
    {{ dbt.concat(["cast(" ~ level ~ " as " ~ dbt.type_string() ~ ")", "' 级'"]) }}
{%- endmacro %}
