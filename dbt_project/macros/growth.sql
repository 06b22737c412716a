{# Ratios of growth accounting. A count that is null counts as zero; a ratio of nothing is null. #}

{# Share of the users active in the period before who are active again; the others fall dormant. #}
{% macro growth_retention_rate(returning_users, dormant_users) -%}
    {{ share(
        "coalesce(" ~ returning_users ~ ", 0)",
        "(coalesce(" ~ returning_users ~ ", 0) + coalesce(" ~ dormant_users ~ ", 0))",
    ) }}
{%- endmacro %}


{# Users won (new or resurrecting) for each user who fell dormant. #}
{% macro growth_quick_ratio(new_users, resurrecting_users, dormant_users) -%}
    {{ share(
        "(coalesce(" ~ new_users ~ ", 0) + coalesce(" ~ resurrecting_users ~ ", 0))",
        "coalesce(" ~ dormant_users ~ ", 0)",
    ) }}
{%- endmacro %}


{# Attributes of dim_users that growth is broken down by; each is a segment_type. #}
{% macro growth_segment_types() -%}
    {{ return(["acquisition_channel", "region", "gender"]) }}
{%- endmacro %}
