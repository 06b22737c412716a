{#
    What incremental models remember between runs, in schema `pipeline_state`:

    watermarks     per model and input: the last thing of that input the model has taken in, and under which as-of
                   date and definition it was built.
    rebuilt_dates  per model: which business dates each of its runs rebuilt; a null date means all of them. Models
                   that read an incremental model follow this log, so a date rebuilt for whatever reason upstream
                   (late file, identity learnt later, another as-of date) is rebuilt downstream, even when a run died
                   between the two.

    Both are written inside the model's own transaction: the table and what it remembers move together or not at all.
#}
{% macro create_pipeline_state() %}
    create schema if not exists pipeline_state;
    create table if not exists pipeline_state.watermarks (
        model_name {{ dbt.type_string() }} not null,
        input_name {{ dbt.type_string() }} not null,
        consumed bigint not null,
        as_of_date date not null,
        definition {{ dbt.type_string() }} not null
    );
    create table if not exists pipeline_state.rebuilt_dates (
        model_name {{ dbt.type_string() }} not null,
        rebuild bigint not null,
        business_date date
    );
{% endmacro %}


{# Pre-hook: write down which dates this run is about to rebuild. Before the build, because some reasons to rebuild
   (a stored row that disagrees with its input) are gone after it. #}
{% macro log_rebuilt_dates() %}
    {% if execute %}
        {%- set dates = touched_dates() -%}
        {%- set next_rebuild -%}
            (
                select coalesce(max(rebuild), 0) + 1
                from pipeline_state.rebuilt_dates
            )
        {%- endset -%}
        {%- if dates is none %}
            insert into pipeline_state.rebuilt_dates
            select '{{ this.identifier }}', {{ next_rebuild }}, cast(null as date)
        {%- elif dates %}
            insert into pipeline_state.rebuilt_dates
            select '{{ this.identifier }}', {{ next_rebuild }}, cast(touched.business_date as date)
            from (values {% for day in dates %}('{{ day }}'){{ ", " if not loop.last }}{% endfor %}) as touched (business_date)
        {%- endif %}
    {% endif %}
{% endmacro %}


{# Post-hook: everything the inputs held at this moment has been taken in. #}
{% macro save_watermarks() %}
    {% if execute %}
        {%- set definition = model_definition() -%}
        delete from pipeline_state.watermarks
        where model_name = '{{ this.identifier }}';
        {% for input in incremental_inputs() %}
        insert into pipeline_state.watermarks
        select '{{ this.identifier }}', '{{ input.name }}', coalesce(max({{ input.sequence }}), 0), {{ as_of() }}, '{{ definition }}'
        from {{ input.relation }}
        where {{ input.condition }};
        {% endfor %}
    {% endif %}
{% endmacro %}
