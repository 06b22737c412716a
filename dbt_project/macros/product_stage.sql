{# The five tasks of user operations, each with the monthly figure of dim_product_stage that measures it. Of two
   equally large gaps the first one counts: a user who was not won cannot be kept. #}
{% macro growth_dimensions() -%}
    {{ return([
        {"name": "acquisition", "metric": "new_users"},
        {"name": "activation", "metric": "activation_rate"},
        {"name": "conversion", "metric": "paying_rate"},
        {"name": "retention", "metric": "retention_rate"},
        {"name": "recall", "metric": "recall_rate"},
    ]) }}
{%- endmacro %}


{# Chinese name of a stage of the product. #}
{% macro product_stage_zh(stage) -%}
    case {{ stage }}
        when 'cold_start' then '冷启动期'
        when 'growth' then '增长期'
        when 'maturity' then '成熟期'
        when 'decline' then '衰退期'
    end
{%- endmacro %}


{# Chinese name of a dimension of growth. #}
{% macro growth_dimension_zh(dimension) -%}
    case {{ dimension }}
        when 'acquisition' then '拉新'
        when 'activation' then '促活'
        when 'conversion' then '转化'
        when 'retention' then '留存'
        when 'recall' then '召回'
        when 'none' then '无'
    end
{%- endmacro %}
