{# Longest trailing window of daily engagement, in days: that of monthly active users. #}
{% macro engagement_window_days() %}{{ return(30) }}{% endmacro %}


{# Days since an active day before, as far as trailing windows tell them apart: further away, or null, is all the same. #}
{% macro within_engagement_window(gap_days) -%}
    least(coalesce({{ gap_days }}, {{ engagement_window_days() }}), {{ engagement_window_days() }})
{%- endmacro %}


{# What daily engagement is broken down by; each is a segment_type. #}
{% macro engagement_segment_types() -%}
    {{ return(["all", "acquisition_channel", "channel", "device"]) }}
{%- endmacro %}


{# The value of a segment of that type: the column called like it; of `all`, the word itself. #}
{% macro segment_value(segment_type) -%}
    {{ return("'all'" if segment_type == "all" else segment_type) }}
{%- endmacro %}
