{#
    What incremental models remember between runs, in schema `pipeline_state`:

    watermarks     per model and input: the last thing of that input the model has taken in, and under which as-of
                   date and definition it was built.
    rebuilt_dates  per model: which business dates each of its runs rebuilt; a null date means all of them, a user that
                   of this date only that user's rows were rebuilt. Models that read an incremental model follow this
                   log, so a date rebuilt for whatever reason upstream (late file, identity learnt later, another as-of
                   date) is rebuilt downstream, even when a run died between the two.
    user_rebuilds  per model: its runs, and whether a run rebuilt everyone.
    rebuilt_users  the users of those that did not: of a model by date everybody who had or has a row on a rebuilt date,
                   and the first such date (a user may stand there twice); of a model by user those whose rows were made
                   again. Models by user follow this log.
    order_rebuilds, rebuilt_orders  the same of models by order.
    credited_identities  the identities int_events was built with.
    counted_days   the users' active days and channels int_retention_returns was built with, see macros/retention.sql.
    funnel_users   the users' segments agg_funnel_conversion was built with, see macros/funnel/conversion.sql.
    passed_tests   per data test of an incremental model: the last rebuild in the model's log that it has passed on.
    dates_to_list  per model: the list dates its latest run had to write, see macros/outreach/list_dates.sql.

    All but the last are written inside the model's own transaction: the table and what it remembers move together or not
    at all.
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
    alter table pipeline_state.rebuilt_dates add column if not exists user_id {{ dbt.type_string() }};
    create table if not exists pipeline_state.user_rebuilds (
        model_name {{ dbt.type_string() }} not null,
        rebuild bigint not null,
        is_everyone boolean not null
    );
    create table if not exists pipeline_state.rebuilt_users (
        model_name {{ dbt.type_string() }} not null,
        rebuild bigint not null,
        user_id {{ dbt.type_string() }} not null
    );
    alter table pipeline_state.rebuilt_users add column if not exists changed_from date;
    create table if not exists pipeline_state.order_rebuilds (
        model_name {{ dbt.type_string() }} not null,
        rebuild bigint not null,
        is_everything boolean not null
    );
    create table if not exists pipeline_state.rebuilt_orders (
        model_name {{ dbt.type_string() }} not null,
        rebuild bigint not null,
        order_id {{ dbt.type_string() }} not null,
        changed_from date
    );
    create table if not exists pipeline_state.credited_identities (
        kind {{ dbt.type_string() }} not null,
        id {{ dbt.type_string() }} not null,
        user_id {{ dbt.type_string() }} not null
    );
    create table if not exists pipeline_state.passed_tests (
        test_id {{ dbt.type_string() }} not null,
        rebuild bigint not null
    );
    create table if not exists pipeline_state.dates_to_list (
        model_name {{ dbt.type_string() }} not null,
        as_of_date date not null
    );
{% endmacro %}


{# Pre-hook: log the dates this run is about to rebuild. Before the build, because some reasons to rebuild (a stored
   row that disagrees with its input) can no longer be seen after it. #}
{% macro log_rebuilt_dates() %}
    {% if execute %}
        {%- set dates = touched_dates() -%}
        {%- set has_user_days = dates_of_touched_user_days() | length > 0 -%}
        {%- set anything = dates is none or dates | length > 0 or has_user_days -%}
        {%- if anything %}
            insert into pipeline_state.rebuilt_dates (model_name, rebuild, business_date, user_id)
            with

            next_rebuild as (

                select coalesce(max(rebuild), 0) + 1 as rebuild
                from pipeline_state.rebuilt_dates

            ),

            touched as (

                {% if dates is none %}
                select cast(null as date) as business_date, cast(null as {{ dbt.type_string() }}) as user_id
                {%- endif %}
                {%- for day in dates or [] %}
                select cast('{{ day }}' as date) as business_date, cast(null as {{ dbt.type_string() }}) as user_id
                {{ "union all" if not loop.last }}
                {%- endfor %}
                {%- if has_user_days %}
                {{ "union all" if dates }}
                select user_days.business_date, user_days.user_id
                from ({{ user_days_touched_upstream() }}) as user_days
                {%- if dates %}
                where user_days.business_date not in ({{ date_literals(dates) }})
                {%- endif %}
                {%- endif %}

            )

            select '{{ this.identifier }}', next_rebuild.rebuild, touched.business_date, touched.user_id
            from touched
            cross join next_rebuild;
        {%- endif %}
        {%- if config.get("meta", {}).get("user_column") and anything %}
            {{ start_rebuild(everything=dates is none) }}
            {%- if dates %}
                {{ log_users_of_dates(dates) }}
            {%- endif %}
            {%- if has_user_days %}
                {{ log_users_of_user_days() }}
            {%- endif %}
        {%- endif %}
    {% endif %}
{% endmacro %}


{# Post-hook: save how far each input has been taken in. #}
{% macro save_watermarks() %}
    {% if execute %}
        {%- set definition = model_definition() -%}
        {%- if config.get("incremental_strategy") == "touched_dates" and config.get("meta", {}).get("user_column") %}
            {{ log_users_of_last_rebuild() }}
        {%- endif %}
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


{# Query of what the model being run remembers of an input: `consumed`, `as_of_date`. #}
{% macro watermark_of(input_name, column) -%}
    select {{ column }}
    from pipeline_state.watermarks
    where model_name = '{{ this.identifier }}' and input_name = '{{ input_name }}'
{%- endmacro %}


{# A fingerprint of everything besides the data that shapes stored rows: when it changes, stored rows are out of date.
   Macros have a fingerprint of their own (`macros_fingerprint`), as they are not part of a model's text. Of the event
   taxonomy only what int_events reads counts, so that a corrected label rebuilds nothing. Settings that a model
   depends on are named in its meta, as a section or by their path: `settings: [lifecycle, churn.lead_days]`. #}
{% macro model_definition() %}
    {{ return(found_once("definition", find_model_definition)) }}
{% endmacro %}


{% macro find_model_definition() %}
    {% set parts = [
        model.raw_code, var("macros_fingerprint"), var("timezone"), var("session_gap_minutes"),
        var("unlisted_is_activity"), var("currency"),
    ] %}
    {% for path in config.get("meta", {}).get("settings", []) %}
        {% set names = path.split(".") %}
        {% set setting = namespace(value=var(names[0])) %}
        {% for name in names[1:] %}
            {% set setting.value = setting.value[name] %}
        {% endfor %}
        {% do parts.append(tojson(setting.value, sort_keys=true)) %}
    {% endfor %}
    {% for row in run_query(
        "select event_name, category, is_activity, is_page_view, is_interaction, is_contribution from "
        ~ source("lake_control", "event_taxonomy") ~ " order by event_name"
    ) %}
        {% do parts.append(row.values() | join("|")) %}
    {% endfor %}
    {{ return(local_md5(parts | join("|"))) }}
{% endmacro %}
