{# Query of the rows int_user_segments should have now: its stored rows are compared with them, then replaced. #}
{% macro current_user_segments() -%}
    select
        activity.user_id,
        coalesce(users.acquisition_channel, 'unknown') as acquisition_channel,
        activity.first_session_date
    from {{ ref("int_user_activity") }} as activity
    inner join {{ ref("dim_users") }} as users
        on activity.user_id = users.user_id
{%- endmacro %}


{#
    Pre-hook of int_user_segments: log, as rebuilt dates, the dates whose sessions now count differently. If the first
    session of a user has moved, these are its old and its new date; if the user's acquisition channel has changed, all
    dates with a session. New users need no entry, as all their sessions are on rebuilt dates; models of active days
    follow the users instead.
#}
{% macro log_dates_of_changed_users() %}
    {% if execute %}
        {%- set stored = load_relation(this) -%}
        insert into pipeline_state.rebuilt_dates (model_name, rebuild, business_date)
        {%- set next_rebuild -%}
            (
                select coalesce(max(rebuild), 0) + 1
                from pipeline_state.rebuilt_dates
            )
        {%- endset %}
        {%- if stored is none or flags.FULL_REFRESH %}
        select '{{ this.identifier }}', {{ next_rebuild }}, cast(null as date);
        {%- else %}
        with

        stored as (

            select user_id, acquisition_channel, first_session_date from {{ stored }}

        ),

        current_state as (

            {{ current_user_segments() }}

        ),

        changed as (

            (select * from stored except select * from current_state)
            union all
            (select * from current_state except select * from stored)

        ),

        won_otherwise as (

            select user_id
            from changed
            group by user_id
            having min(acquisition_channel) <> max(acquisition_channel)

        ),

        dates as (

            select first_session_date as business_date from changed
            union
            select sessions.session_date as business_date
            from {{ ref("fct_sessions") }} as sessions
            where sessions.user_id in (select user_id from won_otherwise)

        )

        select '{{ this.identifier }}', {{ next_rebuild }}, business_date
        from dates
        where business_date is not null;
        {%- endif %}
    {% endif %}
{% endmacro %}
