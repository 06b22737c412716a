{#
    Rows of single users on dates that are not rebuilt whole.

    When it is learnt today whose device one was, that device's events of long ago belong to somebody else. Rebuilding
    those dates whole would make a day cost what history costs: a few users on nearly every date. A model whose rows
    belong to one user on one date rebuilds just these. It says so in its meta, beside its business_date, user_column
    and follows:

        meta:
          rebuilds_user_days: true
          stale_user_days: macro_name      (optional) a macro giving a query of further user days, columns business_date
                                           and user_id; without it, those that the followed models have rebuilt

    and keeps its rows by `in_touched_user_days` instead of `in_touched_dates`. Its user days stand in the log of rebuilt
    dates with their user; to a model that follows it without being able to rebuild user days they are dates like others.
#}

{# Whether the model being run can rebuild single users on a date. #}
{% macro rebuilds_user_days() %}
    {{ return(config.get("meta", {}).get("rebuilds_user_days", false)) }}
{% endmacro %}


{# Dates with user days that this run has to rebuild, as texts. #}
{% macro dates_of_touched_user_days() %}
    {% if not execute or not rebuilds_user_days() or touched_dates() is none %}{{ return([]) }}{% endif %}
    {{ return(found_once("dates_of_touched_user_days", find_dates_of_touched_user_days)) }}
{% endmacro %}


{% macro find_dates_of_touched_user_days() %}
    {% set dates = [] %}
    {% for row in run_query(
        "select distinct business_date from (" ~ user_days_touched_upstream() ~ ") as user_days order by business_date"
    ) %}
        {% do dates.append(row[0] | string) %}
    {% endfor %}
    {{ return(dates) }}
{% endmacro %}


{# Query of the user days to rebuild, also those on dates that are rebuilt whole: (business_date, user_id). #}
{% macro user_days_touched_upstream() -%}
    {%- set meta = config.get("meta", {}) -%}
    {%- if meta.get("stale_user_days") -%}
        {{ context[meta.stale_user_days]() }}
    {%- else -%}
        select distinct
            log.business_date,
            log.user_id
        from pipeline_state.rebuilt_dates as log
        inner join pipeline_state.watermarks as watermarks
            on
                log.model_name = watermarks.input_name
                and log.rebuild > watermarks.consumed
        where
            watermarks.model_name = '{{ this.identifier }}'
            and log.user_id is not null
            and {{ up_to_as_of("log.business_date") }}
    {%- endif -%}
{%- endmacro %}


{# Condition: this run rebuilds the user day; empty when it rebuilds none. The dates are in it as literals, too,
   because only literals let the engine skip all others. #}
{% macro in_user_days(business_date, user_column) -%}
    {%- set dates = dates_of_touched_user_days() -%}
    {%- if dates -%}
        {%- if dates | length <= max_touched_dates() -%}
            {{ business_date }} in ({{ date_literals(dates) }}) and
        {%- endif %} ({{ business_date }}, {{ user_column }}) in (
            select
                business_date,
                user_id
            from pipeline_state.rebuilt_dates
            where
                model_name = '{{ this.identifier }}'
                and rebuild = {{ last_date_rebuild() }}
                and user_id is not null
        )
    {%- endif -%}
{%- endmacro %}


{# Condition on a row: this run builds it. True of the touched dates and the touched user days, or of everything up to
   the as-of date. #}
{% macro in_touched_user_days(business_date, user_column) -%}
    {%- set user_days = in_user_days(business_date, user_column) -%}
    {%- if user_days -%}
        ({{ in_touched_dates(business_date) }} or ({{ user_days }}))
    {%- else -%}
        {{ in_touched_dates(business_date) }}
    {%- endif -%}
{%- endmacro %}


{# Number of this model's latest run in the log of dates. #}
{% macro last_date_rebuild() -%}
    (select max(rebuild) from pipeline_state.rebuilt_dates where model_name = '{{ this.identifier }}')
{%- endmacro %}


{# Log the users whose days are rebuilt, in the log of users. #}
{% macro log_users_of_user_days() %}
    insert into pipeline_state.rebuilt_users (model_name, rebuild, user_id, changed_from)
    select '{{ this.identifier }}', {{ last_rebuild() }}, user_id, min(business_date)
    from pipeline_state.rebuilt_dates
    where
        model_name = '{{ this.identifier }}'
        and rebuild = {{ last_date_rebuild() }}
        and user_id is not null
    group by user_id;
{% endmacro %}
