{#
    Which users, or which orders, an incremental model has to rebuild.

    A model whose rows of a user depend on the user's whole life cannot be rebuilt by date. It says in its config what
    it follows (strategy `touched_users`):

        meta:
          user_column: user_id             its user column
          follows: ["fct_user_days"]       models that log the users they rebuild: models by date with a `user_column`
                                           in their meta, and models by user
          stale_users: macro_name          (optional) a macro giving a query of further user ids, one column user_id
          settings: [lifecycle]            (optional) settings that shape its rows
          rows_to_replace: macro_name      (optional) a macro giving the condition that keeps the stored rows a run makes
                                           again; without it, all rows of the touched users
          dates_of_changed_rows: macro_name
                                           (optional) a macro that is given the queries of the rows to replace and of
                                           what is made of them, and gives the business dates on which they differ; for
                                           models by date that follow this one

    Touched are the users in the logs of the followed models that are newer than the model's watermark, and the stale
    ones. They are collected once, by the pre-hook, in the model's own log; the model and the deletion of its old rows
    read them there, and so do the models that follow this one.

    Everyone is rebuilt on a first or full-refresh run, when a followed model rebuilt everyone, when its log no longer
    reaches back to the watermark, when the as-of date moved back, and when the model's own SQL, a macro, the event
    taxonomy or a setting that shapes rows has changed since the last run.

    Orders are rebuilt by their id in the same way (strategy `touched_orders`, `stale_orders`), because versions and lines
    of one order lie on any dates. Their first models follow the lake: see touched_orders.sql.
#}

{# Where a model (the one being run) logs its runs and the keys they rebuilt. #}
{% macro key_log(of_model=none) %}
    {{ return({
        "runs": "pipeline_state.order_rebuilds",
        "is_whole": "is_everything",
        "keys": "pipeline_state.rebuilt_orders",
        "key": "order_id",
        "stale_keys": "stale_orders",
    } if (of_model or model).config.get("incremental_strategy") == "touched_orders" else {
        "runs": "pipeline_state.user_rebuilds",
        "is_whole": "is_everyone",
        "keys": "pipeline_state.rebuilt_users",
        "key": "user_id",
        "stale_keys": "stale_users",
    }) }}
{% endmacro %}


{# Runs whose keys are remembered. A model that missed more of them rebuilds everything. #}
{% macro kept_rebuilds() %}{{ return(60) }}{% endmacro %}


{# Whether this run rebuilds everyone, or every order; the same answer while compiling, in the pre-hook and in the strategy. #}
{% macro rebuilds_everything() %}
    {% if not execute or not is_incremental() %}{{ return(true) }}{% endif %}
    {{ return(found_once("rebuilds_everything", find_rebuilds_everything)) }}
{% endmacro %}


{% macro find_rebuilds_everything() %}
    {% set known = {} %}
    {% for row in run_query(
        "select input_name, consumed, as_of_date, definition from pipeline_state.watermarks "
        ~ "where model_name = '" ~ this.identifier ~ "'"
    ) %}
        {% do known.update({row[0]: {"consumed": row[1], "as_of": row[2] | string, "definition": row[3]}}) %}
    {% endfor %}
    {% set definition = model_definition() %}
    {% for input in incremental_inputs() if input.business_date %}
        {% if touched_dates() is none %}{{ return(true) }}{% endif %}
    {% endfor %}
    {% for input in incremental_inputs() if not input.business_date %}
        {% set seen = known.get(input.name) %}
        {% if seen is none or seen.definition != definition or seen.as_of > var("as_of_date") %}{{ return(true) }}{% endif %}
        {% set log = run_query(
            "select coalesce(min(rebuild), 0), coalesce(max(rebuild), 0), "
            ~ "coalesce(max(case when " ~ key_log().is_whole ~ " then rebuild end), 0) "
            ~ "from " ~ input.relation ~ " where " ~ input.condition
        )[0] %}
        {% if log[1] < seen.consumed or log[0] > seen.consumed or log[2] > seen.consumed %}{{ return(true) }}{% endif %}
    {% endfor %}
    {{ return(false) }}
{% endmacro %}


{# Pre-hook: log the users, or orders, that this run is about to rebuild. #}
{% macro log_rebuilt_keys() %}
    {% if execute %}
        {%- set everything = rebuilds_everything() -%}
        {%- set log = key_log() -%}
        {{ start_rebuild(everything) }}
        {%- if everything and config.get("meta", {}).get("dates_of_changed_rows") %}
            {{ log_dates_of_changed_rows("select cast(null as date) as business_date") }}
        {%- endif %}
        {%- if not everything %}
            insert into {{ log["keys"] }} (model_name, rebuild, {{ log.key }}, changed_from)
            select
                '{{ this.identifier }}',
                {{ last_rebuild() }},
                touched.{{ log.key }},
                case when count(*) = count(touched.changed_from) then min(touched.changed_from) end
            from ({{ touched_keys() }}) as touched
            group by touched.{{ log.key }};
        {%- endif %}
    {% endif %}
{% endmacro %}


{# Query of the keys that the followed models have rebuilt since, and of the stale ones: (key, changed_from). #}
{% macro touched_keys() -%}
    {%- set log = key_log() -%}
    {%- set queries = [] -%}
    {%- for input in incremental_inputs() if not input.business_date -%}
        {%- do queries.append(
            "select " ~ log.key ~ ", changed_from from " ~ log["keys"] ~ " where " ~ input.condition
            ~ " and rebuild > (" ~ watermark_of(input.name, "consumed") ~ ")"
        ) -%}
    {%- endfor -%}
    {%- set stale_keys = config.get("meta", {}).get(log.stale_keys) -%}
    {%- if stale_keys %}
        {%- do queries.append(
            "select " ~ log.key ~ ", cast(null as date) as changed_from from (" ~ context[stale_keys]() ~ ") as stale"
        ) -%}
    {%- endif -%}
    {{ queries | join(" union all ") }}
{%- endmacro %}


{# Condition: this run rebuilds the rows of the user. #}
{% macro in_touched_users(user_column) -%}
    {{ in_touched_keys(user_column) }}
{%- endmacro %}


{# Condition: this run rebuilds the rows of the order. #}
{% macro in_touched_orders(order_column) -%}
    {{ in_touched_keys(order_column) }}
{%- endmacro %}


{% macro in_touched_keys(column) -%}
    {%- if rebuilds_everything() -%}
        true
    {%- else -%}
        {{ column }} in (
            select {{ key_log().key }}
            from {{ key_log()["keys"] }}
            where model_name = '{{ this.identifier }}' and rebuild = {{ last_rebuild() }}
        )
    {%- endif -%}
{%- endmacro %}


{# Query of the users this run rebuilds: user_id and changed_from, the first business date on which the user's rows may
   differ from before (a date long past where it is not known). #}
{% macro users_being_rebuilt() -%}
    select
        user_id,
        coalesce(changed_from, cast('0002-01-01' as date)) as changed_from
    from pipeline_state.rebuilt_users
    where
        model_name = '{{ this.identifier }}'
        and rebuild = {{ last_rebuild() }}
{%- endmacro %}


{# Incremental strategy `touched_users`: replace the rows of the users that the pre-hook has logged by what was built
   for them. #}
{% macro get_incremental_touched_users_sql(arg_dict) %}
    {%- set target = arg_dict["target_relation"] -%}
    {%- set meta = config.get("meta", {}) -%}
    {%- set rows_to_replace = meta.get("rows_to_replace") if not rebuilds_everything() -%}
    {%- set is_replaced = context[rows_to_replace]() if rows_to_replace else in_touched_users(meta.user_column) -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    {%- if meta.get("dates_of_changed_rows") and not rebuilds_everything() %}
    {{ log_dates_of_changed_rows(context[meta.dates_of_changed_rows](
        "select * from " ~ target ~ " where " ~ is_replaced, "select * from " ~ arg_dict["temp_relation"]
    )) }}
    {%- endif %}
    delete from {{ target }}
    where {{ is_replaced }};
    insert into {{ target }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }};
{% endmacro %}


{# Log dates of a model by user, in the log of dates. #}
{% macro log_dates_of_changed_rows(dates) %}
    insert into pipeline_state.rebuilt_dates (model_name, rebuild, business_date)
    select distinct
        '{{ this.identifier }}',
        (select coalesce(max(rebuild), 0) + 1 from pipeline_state.rebuilt_dates),
        changed.business_date
    from ({{ dates }}) as changed;
{% endmacro %}


{# Number of this model's latest run in the log of its keys. #}
{% macro last_rebuild() -%}
    (select max(rebuild) from {{ key_log().runs }} where model_name = '{{ this.identifier }}')
{%- endmacro %}


{# Start a new entry of this model in the log of its keys, and forget the oldest ones. #}
{% macro start_rebuild(everything) %}
    {%- set log = key_log() %}
        insert into {{ log.runs }}
        select
            '{{ this.identifier }}',
            coalesce((select max(rebuild) from {{ log.runs }}), 0) + 1,
            {{ everything | lower }};
        delete from {{ log["keys"] }}
        where
            model_name = '{{ this.identifier }}'
            and rebuild not in ({{ remembered_rebuilds() }});
        delete from {{ log.runs }}
        where
            model_name = '{{ this.identifier }}'
            and rebuild not in ({{ remembered_rebuilds() }});
{% endmacro %}


{% macro remembered_rebuilds() -%}
    select rebuild
    from {{ key_log().runs }}
    where model_name = '{{ this.identifier }}'
    order by rebuild desc
    limit {{ kept_rebuilds() }}
{%- endmacro %}


{# Users who have rows on these dates before a model by date rebuilds them. #}
{% macro log_users_of_dates(dates) %}
    {%- set meta = config.get("meta", {}) -%}
    insert into pipeline_state.rebuilt_users (model_name, rebuild, user_id, changed_from)
    select '{{ this.identifier }}', {{ last_rebuild() }}, {{ meta.user_column }}, min({{ meta.business_date }})
    from {{ this }}
    where {{ meta.business_date }} in ({{ date_literals(dates) }})
    group by {{ meta.user_column }};
{% endmacro %}


{# Users who have rows on the dates that a model by date has just rebuilt, and had none so early before. The dates are
   those the pre-hook wrote down, fetched as literals because only literals let the engine skip all others. #}
{% macro log_users_of_last_rebuild() %}
    {%- set meta = config.get("meta", {}) -%}
    {%- set dates = run_query(
        "select distinct business_date from pipeline_state.rebuilt_dates where model_name = '" ~ this.identifier
        ~ "' and rebuild = (select max(rebuild) from pipeline_state.rebuilt_dates where model_name = '"
        ~ this.identifier ~ "') and business_date is not null and user_id is null"
    ) -%}
    {%- if dates | length > 0 %}
    insert into pipeline_state.rebuilt_users (model_name, rebuild, user_id, changed_from)
    with

    users_now as (

        select
            {{ meta.user_column }} as user_id,
            min({{ meta.business_date }}) as changed_from
        from {{ this }}
        where
            {{ meta.business_date }} in ({{ date_literals(dates | map(attribute=0)) }})
        group by {{ meta.user_column }}

    )

    select '{{ this.identifier }}', {{ last_rebuild() }}, users_now.user_id, users_now.changed_from
    from users_now
    where
        not exists (
            select 1
            from pipeline_state.rebuilt_users as logged
            where
                logged.model_name = '{{ this.identifier }}'
                and logged.rebuild = {{ last_rebuild() }}
                and logged.user_id = users_now.user_id
                and logged.changed_from <= users_now.changed_from
        );
    {%- endif %}
{% endmacro %}
