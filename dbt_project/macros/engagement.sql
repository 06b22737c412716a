{# Longest trailing window of daily engagement, in days: that of monthly active users. #}
{% macro engagement_window_days() %}{{ return(30) }}{% endmacro %}


{# Days since an active day before, as far as trailing windows tell them apart: further away, or null, is all the same. #}
{% macro within_engagement_window(gap_days) -%}
    least(coalesce({{ gap_days }}, {{ engagement_window_days() }}), {{ engagement_window_days() }})
{%- endmacro %}
