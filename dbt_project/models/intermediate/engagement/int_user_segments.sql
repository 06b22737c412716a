{{
    config(
        materialized="table",
        pre_hook="{{ log_dates_of_changed_users() }}",
    )
}}
-- depends_on: {{ ref("fct_sessions") }} (read by log_dates_of_changed_users, which is only rendered when dbt runs)

{{ current_user_segments() }}
