{# The longest trailing window of daily engagement, in days: that of monthly active users. #}
{% macro engagement_window_days() %}{{ return(30) }}{% endmacro %}


{# Days since the previous active day, at most the longest window: further away, or no such day (null), makes no
   difference. #}
{% macro within_engagement_window(gap_days) -%}
    least(coalesce({{ gap_days }}, {{ engagement_window_days() }}), {{ engagement_window_days() }})
{%- endmacro %}


{# What daily engagement is broken down by; each is a segment_type. #}
{% macro engagement_segment_types() -%}
    {{ return(["all", "acquisition_channel", "channel", "device"]) }}
{%- endmacro %}


{# The value of a segment of this type: the column with its name, or the word `all`. #}
{% macro segment_value(segment_type) -%}
    {{ return("'all'" if segment_type == "all" else segment_type) }}
{%- endmacro %}
