{#
    Which rows of an incremental model a data test still has to look at.

    What a generic test asks of a row, or of the rows of one key, stays true as long as the rows are not built again: on a
    history of years, looking at all of them every day costs more than building the day. So a test remembers, when it has
    passed, how far the model's log of rebuilt dates (or users) went, and looks only at what was rebuilt since. A test that
    fails, or a run that dies before its end, is remembered nowhere: the next run looks at the same rows again.

    Two rows with one key have the same date (or user, or order): the key of an incremental model holds the column it is
    rebuilt by. Tests of other models, and the project's own tests of whole tables, look at every row.
#}

{# Condition on a row of the tested model: this test has not passed on it yet. #}
{% macro not_yet_tested() -%}
    {%- set tested = graph.nodes.get(model.attached_node) if execute and flags.WHICH in ["build", "test"] else none -%}
    {%- if not tested or tested.config.get("incremental_strategy") not in rebuild_logs() -%}
        {{ return("true") }}
    {%- endif -%}
    {%- set log = rebuild_logs()[tested.config.incremental_strategy] -%}
    {%- set meta = tested.config.meta -%}
    {%- set passed = run_query(
        "select max(rebuild) from pipeline_state.passed_tests where test_id = '" ~ model.unique_id ~ "'"
    )[0][0] -%}
    {%- if passed is none -%}{{ return("true") }}{%- endif -%}
    {%- set since = "model_name = '" ~ tested.name ~ "' and rebuild > " ~ passed -%}
    {%- if tested.config.incremental_strategy != "touched_dates" -%}
        {%- set keys = key_log(tested) -%}
        {%- set oldest_and_whole = run_query(
            "select coalesce(min(rebuild), 0), count(case when " ~ keys.is_whole ~ " and rebuild > " ~ passed
            ~ " then 1 end) from " ~ log ~ " where model_name = '" ~ tested.name ~ "'"
        )[0] -%}
        {{ return(
            "true" if oldest_and_whole[0] > passed or oldest_and_whole[1] > 0
            else (meta.user_column or keys.key) ~ " in (select " ~ keys.key ~ " from " ~ keys["keys"] ~ " where " ~ since ~ ")"
        ) }}
    {%- endif -%}
    {%- set dates, conditions = [], [] -%}
    {%- for row in run_query("select distinct business_date from " ~ log ~ " where " ~ since ~ " and user_id is null") -%}
        {%- do dates.append(row[0] | string) -%}
    {%- endfor -%}
    {%- if "None" in dates or dates | length > max_touched_dates() -%}{{ return("true") }}{%- endif -%}
    {%- if dates -%}
        {%- do conditions.append(meta.business_date ~ " in (" ~ date_literals(dates) ~ ")") -%}
    {%- endif -%}
    {%- if meta.get("rebuilds_user_days") -%}
        {%- do conditions.append(
            "(" ~ meta.business_date ~ ", " ~ meta.user_column ~ ") in (select business_date, user_id from " ~ log
            ~ " where " ~ since ~ " and user_id is not null)"
        ) -%}
    {%- endif -%}
    {{ return("(" ~ conditions | join(" or ") ~ ")" if conditions else "false") }}
{%- endmacro %}


{# On-run-end: record that each passed test of an incremental model has looked at everything rebuilt so far. #}
{% macro remember_passed_tests(results) %}
    {% set passed = {} %}
    {% for result in results or [] if result.status == "pass" and result.node.resource_type == "test" %}
        {% set tested = graph.nodes.get(result.node.attached_node) %}
        {% if tested and tested.config.get("incremental_strategy") in rebuild_logs() %}
            {% do passed.update({result.node.unique_id: tested}) %}
        {% endif %}
    {% endfor %}
    {% if passed %}
        delete from pipeline_state.passed_tests
        where test_id in ('{{ passed.keys() | join("', '") }}');
        insert into pipeline_state.passed_tests
        {% for test_id, tested in passed.items() %}
        select '{{ test_id }}', coalesce(max(rebuild), 0)
        from {{ rebuild_logs()[tested.config.incremental_strategy] }}
        where model_name = '{{ tested.name }}'
        {{ "union all" if not loop.last }}
        {% endfor %}
    {% endif %}
{% endmacro %}


{# Where the rebuilds of a model are logged, by its incremental strategy. #}
{% macro rebuild_logs() %}
    {{ return({
        "touched_dates": "pipeline_state.rebuilt_dates",
        "touched_users": "pipeline_state.user_rebuilds",
        "touched_orders": "pipeline_state.order_rebuilds",
    }) }}
{% endmacro %}
