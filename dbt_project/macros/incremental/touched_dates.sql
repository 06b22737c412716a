{#
    Which business dates an incremental model has to rebuild.

    A model says in its config what it follows:

        meta:
          business_date: event_date        its date column
          follows: ["lake:events"]         an entity of the lake, or the name of another incremental model
          stale_dates: reconverted_dates   (optional) a macro giving a query for further dates

    Touched are: the dates of batches newer than the model's watermark (lake; a retired batch has its dates there
    again, under the number of its retirement), the dates rebuilt upstream since (models), the dates between the last
    as-of date and this one, and the stale dates. The list is fetched while the model is compiled and written into its
    SQL as literal dates, because only literals let the engine skip the Parquet folders of all other dates.

    Everything is rebuilt (none instead of a list) on a first or full-refresh run, when more than
    `max_touched_dates` are touched, when the lake was started anew, and when the model's own SQL, the event taxonomy
    or a setting that shapes rows has changed since the last run.
#}
{% macro max_touched_dates() %}{{ return(400) }}{% endmacro %}


{% macro touched_dates() %}
    {% if not execute or not is_incremental() %}{{ return(none) }}{% endif %}
    {{ return(found_once("touched_dates", find_touched_dates)) }}
{% endmacro %}


{#
    What `find` returns, computed once per node and then kept: all conditions and hooks of a model need the same dates
    and users, first while it is compiled and then while it is run. They are kept in what both phases share, the node's
    entry in the graph. Nothing they depend on changes before the watermarks are saved.
#}
{% macro found_once(name, find) %}
    {% set node = graph.nodes.get(model.unique_id, model) %}
    {% set kept_as = name ~ " of " ~ invocation_id %}
    {% if kept_as not in node %}
        {% do node.update({kept_as: find()}) %}
    {% endif %}
    {{ return(node[kept_as]) }}
{% endmacro %}


{% macro find_touched_dates() %}
    {% set inputs = incremental_inputs() | selectattr("business_date", "defined") | list %}
    {% set known = {} %}
    {% for row in run_query(
        "select input_name, consumed, as_of_date, definition from pipeline_state.watermarks "
        ~ "where model_name = '" ~ this.identifier ~ "'"
    ) %}
        {% do known.update({row[0]: {"consumed": row[1], "as_of": row[2], "definition": row[3]}}) %}
    {% endfor %}

    {% set definition = model_definition() %}
    {% set queries = [] %}
    {% for input in inputs %}
        {% set seen = known.get(input.name) %}
        {% if seen is none or seen.definition != definition %}{{ return(none) }}{% endif %}
        {% set newest = run_query(
            "select coalesce(max(" ~ input.sequence ~ "), 0) from " ~ input.relation ~ " where " ~ input.condition
        )[0][0] %}
        {% if newest < seen.consumed %}{{ return(none) }}{% endif %}
        {% do queries.append(
            "select " ~ input.business_date ~ " as business_date from " ~ input.relation
            ~ " where " ~ input.condition ~ " and " ~ input.sequence ~ " > " ~ seen.consumed
            ~ " and " ~ input.get("whole_dates", "true")
        ) %}
        {% if seen.as_of | string != var("as_of_date") and input.dates_appear_with_as_of %}
            {% do queries.append(dates_between(input, seen.as_of)) %}
        {% endif %}
    {% endfor %}
    {% set stale_dates = config.get("meta", {}).get("stale_dates") %}
    {% if stale_dates %}{% do queries.append(context[stale_dates]()) %}{% endif %}

    {% set dates = [] %}
    {% for row in run_query(
        "select distinct business_date from (" ~ queries | join(" union all ") ~ ") as touched order by business_date"
    ) %}
        {% if row[0] is none %}{{ return(none) }}{% endif %}
        {% do dates.append(row[0] | string) %}
    {% endfor %}
    {{ return(none if dates | length > max_touched_dates() else dates) }}
{% endmacro %}


{# Dates with data that lie between the last as-of date and this one, the earlier one excluded. #}
{% macro dates_between(input, last_as_of) %}
    {% set bounds = [last_as_of | string, var("as_of_date")] | sort %}
    {{ return(
        "select " ~ input.business_date ~ " as business_date from " ~ input.relation ~ " where " ~ input.condition
        ~ " and " ~ input.business_date ~ " > cast('" ~ bounds[0] ~ "' as date) and "
        ~ input.business_date ~ " <= cast('" ~ bounds[1] ~ "' as date)"
    ) }}
{% endmacro %}


{# Query of the dates that one of the followed models has rebuilt since this model's last run, as far as they are known
   by date (a rebuild of everything has none, and rebuilds this model as well). #}
{% macro dates_rebuilt_by(followed_model) -%}
    select log.business_date
    from pipeline_state.rebuilt_dates as log
    inner join pipeline_state.watermarks as watermarks
        on
            log.model_name = watermarks.input_name
            and log.rebuild > watermarks.consumed
    where
        watermarks.model_name = '{{ this.identifier }}'
        and watermarks.input_name = '{{ followed_model }}'
        and log.business_date is not null
{%- endmacro %}


{# What this model follows: for each input where its change log is and how to read it. #}
{% macro incremental_inputs() %}
    {% set inputs = [] %}
    {% for name in config.get("meta", {}).get("follows", []) %}
        {% if name.startswith("lake:") %}
            {% do inputs.append({
                "name": name,
                "relation": source("lake_control", "ingest_batch_dates"),
                "condition": "entity = '" ~ name.split(":")[1] ~ "'",
                "sequence": "batch_seq",
                "business_date": "event_date",
                "dates_appear_with_as_of": true,
            }) %}
        {% elif config.get("incremental_strategy") != "touched_dates" %}
            {% do inputs.append({
                "name": name,
                "relation": key_log().runs,
                "condition": "model_name = '" ~ name ~ "'",
                "sequence": "rebuild",
            }) %}
        {% else %}
            {% do inputs.append({
                "name": name,
                "relation": "pipeline_state.rebuilt_dates",
                "condition": "model_name = '" ~ name ~ "'",
                "sequence": "rebuild",
                "business_date": "business_date",
                "whole_dates": "user_id is null" if rebuilds_user_days() else "true",
                "dates_appear_with_as_of": false,
            }) %}
        {% endif %}
    {% endfor %}
    {{ return(inputs) }}
{% endmacro %}


{# Condition on a row: this run builds it. True of the touched dates, or of everything up to the as-of date. #}
{% macro in_touched_dates(business_date) %}
    {%- set dates = touched_dates() -%}
    {%- if dates is none -%}
        {{ up_to_as_of(business_date) }}
    {%- else -%}
        {%- set wanted = [] -%}
        {%- for day in dates if day <= var("as_of_date") -%}
            {%- do wanted.append(day) -%}
        {%- endfor -%}
        {{ business_date ~ " in (" ~ date_literals(wanted) ~ ")" if wanted else "false" }}
    {%- endif -%}
{% endmacro %}


{# Incremental strategy `touched_dates`: replace the dates that the pre-hook has logged by what was built for them. #}
{% macro get_incremental_touched_dates_sql(arg_dict) %}
    {%- set target = arg_dict["target_relation"] -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    {%- set dates = touched_dates() -%}
    {%- if dates is none %}
    delete from {{ target }};
    {%- elif dates %}
    delete from {{ target }}
    where {{ config.get("meta", {}).get("business_date") }} in ({{ date_literals(dates) }});
    {%- endif %}
    {%- set user_days_condition = in_user_days(
        config.get("meta", {}).get("business_date"), config.get("meta", {}).get("user_column")
    ) %}
    {%- if user_days_condition %}
    delete from {{ target }}
    where {{ user_days_condition }};
    {%- endif %}
    insert into {{ target }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }};
{% endmacro %}
