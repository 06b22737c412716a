{# Days from an as-of date to the end of its horizon. #}
{% macro churn_window_days() %}{{ return(var("churn")["lead_days"] + var("churn")["horizon_days"]) }}{% endmacro %}


{#
    Query of the ends of horizons to judge (again): horizons that contain a rebuilt active day, that have ended since
    the last run, or whose scores have changed since they were judged.
#}
{% macro dates_of_unjudged_horizons() -%}
    {%- set end_of_touched = add_days("touched.business_date", "numbers.days_later") -%}
    {%- set end_of_scored = add_days("as_of_date", churn_window_days()) -%}
    select {{ end_of_touched }} as business_date
    from ({{ dates_rebuilt_by("fct_user_days") }}) as touched
    cross join {{ whole_numbers(0, var("churn")["horizon_days"] - 1, "days_later") }}
    where {{ up_to_as_of(end_of_touched) }}
    union
    select business_date
    from (
        (
            select distinct {{ end_of_scored }} as business_date, model_version
            from {{ ref("fct_churn_scores") }}
            where {{ up_to_as_of(end_of_scored) }}
            except
            select horizon_ends_on, model_version from {{ this }}
        )
        union all
        (
            select horizon_ends_on, model_version from {{ this }}
            except
            select distinct {{ end_of_scored }}, model_version
            from {{ ref("fct_churn_scores") }}
            where {{ up_to_as_of(end_of_scored) }}
        )
    ) as differing
{%- endmacro %}
