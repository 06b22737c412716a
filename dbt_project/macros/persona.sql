{# Part of the day of a local hour. #}
{% macro daypart(hour) -%}
    case
        when {{ hour }} < 6 then 'night'
        when {{ hour }} < 12 then 'morning'
        when {{ hour }} < 18 then 'afternoon'
        else 'evening'
    end
{%- endmacro %}


{# Weight of a trace of interest on a later day, in millionths: it halves with every half-life. A whole number, so that
   sums do not depend on the order of rows. #}
{% macro decayed_millionths(trace_date, later_date) -%}
    cast(
        round(
            1000000 * power(
                0.5,
                {{ days_between(trace_date, later_date) }} / cast({{ var("persona").interest_half_life_days }} as double)
            )
        ) as bigint
    )
{%- endmacro %}


{# A city's name as the seed city_tiers spells it: lower case, without 市 at its end. #}
{% macro city_key(city) -%}
    regexp_replace(lower(trim({{ city }})), '市$', '')
{%- endmacro %}


{# Condition: a comma-separated list of exported roles has this role. #}
{% macro has_role(roles, role) -%}
    concat(',', replace(lower(coalesce({{ roles }}, '')), ' ', ''), ',') like '%,{{ role }},%'
{%- endmacro %}


{# Tier of a city: the seed's, `other` for one that is not listed, `unknown` where no city is known. #}
{% macro city_tier(city, listed_tier) -%}
    coalesce({{ listed_tier }}, case when {{ city }} is null then 'unknown' else 'other' end)
{%- endmacro %}


{% macro city_tier_zh(city, listed_tier_zh) -%}
    coalesce({{ listed_tier_zh }}, case when {{ city }} is null then '未知' else '其他城市' end)
{%- endmacro %}
