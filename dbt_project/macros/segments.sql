{#
    Segments come back from the lake date by date. A date counts where profiles and assignments carry the same
    `run_version`; it is written again when that differs from what is stored.
#}

{# Query: the run that counts for each date up to the as-of date, and the one before it. #}
{% macro segment_runs() -%}
    select
        as_of_date,
        run_version,
        lag(as_of_date) over (order by as_of_date) as previous_as_of_date,
        lag(run_version) over (order by as_of_date) as previous_run_version
    from (
        select
            as_of_date,
            run_version,
            row_number() over (partition by as_of_date order by model_version desc, run_version desc) as version_rank
        from {{ source("scores", "segment_profiles") }}
        where {{ up_to_as_of("as_of_date") }}
        group by as_of_date, model_version, run_version
    ) as versions
    where version_rank = 1
{%- endmacro %}


{#
    Dates whose stored `columns` differ from those of segment_runs; none when everything is to be written. Fetched
    while compiling, so that only the files of these dates are read.
#}
{% macro segment_dates_to_write(columns) %}
    {% if not execute or not is_incremental() %}{{ return(none) }}{% endif %}
    {% set listed = columns | join(", ") %}
    {% set stored = "select distinct " ~ listed ~ " from " ~ this %}
    {% set current = "select " ~ listed ~ " from (" ~ segment_runs() ~ ") as runs" %}
    {% set dates = [] %}
    {% for row in run_query(
        "select distinct as_of_date from ((" ~ stored ~ " except " ~ current ~ ") union all ("
        ~ current ~ " except " ~ stored ~ ")) as differing order by as_of_date"
    ) %}
        {% do dates.append(row[0] | string) %}
    {% endfor %}
    {{ return(dates) }}
{% endmacro %}


{# Condition: the date is one of those to write. #}
{% macro in_segment_dates_to_write(columns, date_column="as_of_date") -%}
    {%- set dates = segment_dates_to_write(columns) -%}
    {%- if dates is none -%}
        true
    {%- elif dates -%}
        {{ date_column }} in ({{ date_literals(dates) }})
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}


{# Pre-hook: delete the dates to write. #}
{% macro forget_segment_dates(columns) %}
    {% if is_incremental() %}
    delete from {{ this }}
    where {{ in_segment_dates_to_write(columns) }}
    {% endif %}
{% endmacro %}
