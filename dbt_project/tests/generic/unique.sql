{# dbt's own test, of the rows that it has not passed on yet. #}
{% test unique(model, column_name) %}
    {{ repeated_keys(model, [column_name], not_yet_tested() ~ " and " ~ column_name ~ " is not null") }}
{% endtest %}
