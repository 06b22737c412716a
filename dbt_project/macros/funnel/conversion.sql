{# What agg_funnel_conversion counts: segments, complete cohorts, and the cohorts a run has to count again. #}

{# Condition: no entry of a cohort can get any further. Its last attempt starts up to one window after the entry, and
   lasts for another one. Told by moments, as days have 23 or 25 hours where clocks change, and windows do not. #}
{% macro cohort_is_complete(cohort_date, window_seconds) -%}
    {{ add_seconds(end_of_day(cohort_date), "2 * " ~ window_seconds) }} <= {{ end_of_day(as_of()) }}
{%- endmacro %}


{# Condition: the funnel is configured to be broken down by this segment type; `all` is part of every funnel. #}
{% macro funnel_has_segment_type(segment_type) -%}
    {%- if segment_type == "all" -%}
        true
    {%- else -%}
        funnel_id in (
            select segments.funnel_id
            from {{ ref("stg_funnel_segments") }} as segments
            where segments.segment_type = '{{ segment_type }}'
        )
    {%- endif -%}
{%- endmacro %}


{# Query of the users with the attributes that segments are made of. #}
{% macro segments_of_users() -%}
    select
        user_id,
        acquisition_channel,
        region,
        gender
    from {{ ref("dim_users") }}
{%- endmacro %}


{# Post-hook of agg_funnel_conversion: keep the attributes it has counted users by, for `cohorts_to_recount`. #}
{% macro remember_funnel_users() %}
    {% if execute %}
        create or replace table pipeline_state.funnel_users as
        {{ segments_of_users() }};
    {% endif %}
{% endmacro %}


{# Query of the cohort dates to count again although none of their entries changed: one of their users has moved to
   another segment, or the cohort has become complete. #}
{% macro cohorts_to_recount() -%}
    select entries.cohort_date as business_date
    from {{ ref("fct_funnel_progress") }} as entries
    inner join (
        {{ segments_of_users() }}
        except
        select * from pipeline_state.funnel_users
    ) as changed_users
        on entries.user_id = changed_users.user_id

    union all

    select stored.cohort_date as business_date
    from {{ this }} as stored
    inner join ({{ funnel_windows() }}) as funnels
        on stored.funnel_id = funnels.funnel_id
    where stored.is_complete <> ({{ cohort_is_complete("stored.cohort_date", "funnels.window_seconds") }})
{%- endmacro %}
