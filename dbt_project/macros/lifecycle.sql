{# Silence, in days, beyond which a user is at risk: the usual gap (total / count) times the factor, within bounds. #}
{% macro at_risk_after_days(gap_days_total, gaps) -%}
    {%- set settings = var("lifecycle") -%}
    cast(
        least(
            greatest(
                ceil(cast({{ gap_days_total }} as double) * {{ settings.at_risk_factor }} / {{ gaps }}),
                {{ settings.at_risk_min_days }}
            ),
            {{ settings.churned_after_days }} - 1
        ) as integer
    )
{%- endmacro %}


{# Chinese name of a lifecycle stage. #}
{% macro stage_zh(stage) -%}
    case {{ stage }}
        when 'visitor' then '访客'
        when 'new' then '新手期'
        when 'growing' then '成长期'
        when 'mature' then '成熟期'
        when 'at_risk' then '衰退期（沉默预警）'
        when 'churned' then '流失'
        when 'returned' then '回流'
    end
{%- endmacro %}


{% macro lifecycle_stages() -%}
    {{ return(["visitor", "new", "growing", "mature", "at_risk", "churned", "returned"]) }}
{%- endmacro %}
