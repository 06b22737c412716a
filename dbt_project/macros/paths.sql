{# First day of the trailing window of agg_user_paths. #}
{% macro first_path_date() -%}
    {{ add_days(as_of(), "1 - " ~ var("user_paths").window_days) }}
{%- endmacro %}


{# Query of the dates of the window that have sessions but no stored paths: after a run for an earlier date the window
   begins before all that is stored. #}
{% macro path_dates_not_stored() -%}
    select distinct session_date as business_date
    from {{ ref("fct_sessions") }}
    where
        session_date >= {{ first_path_date() }}
        and {{ up_to_as_of("session_date") }}
        and session_date not in (select session_date from {{ this }})
{%- endmacro %}


{# Post-hook: delete the dates before the window. #}
{% macro delete_paths_before_window() %}
    delete from {{ this }}
    where session_date < {{ first_path_date() }};
{% endmacro %}
