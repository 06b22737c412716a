{# Periods that retention is followed for, by grain: (grain, last period number). #}
{% macro retention_grains() -%}
    {%- set settings = var("retention") -%}
    {{ return([("day", settings.max_days), ("week", settings.max_weeks), ("month", settings.max_months)]) }}
{%- endmacro %}


{#
    Post-hook of int_retention_returns: keep what it has counted, the active days and the acquisition channel of each
    user. The next run takes exactly this off the counts, whatever has become of the users by then.
#}
{% macro remember_counted_days() %}
    {% if execute %}
        {%- set counted_days -%}
            select
                periods.user_id,
                users.acquisition_channel,
                {{ list_of_values("periods.period_start") }} as active_days
            from {{ ref("int_user_periods") }} as periods
            inner join {{ ref("int_user_segments") }} as users
                on periods.user_id = users.user_id
            where
                periods.grain = 'day'
                and {{ in_touched_users("periods.user_id") }}
            group by periods.user_id, users.acquisition_channel
        {%- endset -%}
        {%- if rebuilds_everything() %}
        create or replace table pipeline_state.counted_days as
        {{ counted_days }};
        {%- else %}
        delete from pipeline_state.counted_days
        where {{ in_touched_users("user_id") }};
        insert into pipeline_state.counted_days (user_id, acquisition_channel, active_days)
        {{ counted_days }};
        {%- endif %}
    {% endif %}
{% endmacro %}


{# Query of the users whose acquisition channel is no longer the one that int_retention_returns has counted them by. #}
{% macro users_counted_for_another_channel() -%}
    select counted_days.user_id
    from pipeline_state.counted_days
    inner join {{ ref("int_user_segments") }} as users
        on counted_days.user_id = users.user_id
    where counted_days.acquisition_channel <> users.acquisition_channel
{%- endmacro %}


{# What retention and repeat purchase are broken down by; each is a segment_type. #}
{% macro retention_segment_types() -%}
    {{ return(["all", "acquisition_channel"]) }}
{%- endmacro %}
