{# Days of silence after which a user is at risk: the usual gap (total / count) times the factor, within bounds. In exact
   decimals: 1.1 times ten days are eleven, and must not be rounded up to twelve. #}
{% macro at_risk_after_days(gap_days_total, gaps) -%}
    {%- set settings = var("lifecycle") -%}
    {%- set factor = "cast('" ~ settings.at_risk_factor ~ "' as decimal(9, 6))" -%}
    cast(
        least(
            greatest(
                ceil(cast(cast({{ gap_days_total }} as decimal(18, 4)) * {{ factor }} as double) / {{ gaps }}),
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
        when 'at_risk' then '衰退/沉默预警'
        when 'churned' then '流失'
        when 'returned' then '回流'
    end
{%- endmacro %}


{% macro lifecycle_stages() -%}
    {{ return(["visitor", "new", "growing", "mature", "at_risk", "churned", "returned"]) }}
{%- endmacro %}


{#
    Query of the users whose stored stages (fct_lifecycle_stages) are out of date although their activity has not
    changed: their date of first trace or of identification is another one now, or the date has come on which silence
    alone changes their stage.
#}
{% macro users_with_outdated_stages() -%}
    {%- set stored -%}
        select
            user_id,
            valid_from as first_seen_date,
            identified_from
        from {{ this }}
        where previous_stage is null
    {%- endset -%}
    {%- set current -%}
        select
            user_id,
            first_seen_date,
            identified_from
        from {{ ref("dim_users") }}
        where first_seen_date is not null
    {%- endset -%}
    select user_id
    from (({{ stored }}) except ({{ current }})) as gone

    union all

    select user_id
    from (({{ current }}) except ({{ stored }})) as added

    union all

    select user_id
    from {{ this }}
    where
        is_current
        and {{ up_to_as_of("next_change_date") }}
{%- endmacro %}
