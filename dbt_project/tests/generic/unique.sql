{# dbt's own test, of the rows that it has not passed on yet. #}
{% test unique(model, column_name) %}
    select
        {{ column_name }} as unique_field,
        count(*) as n_records
    from {{ model }}
    where
        {{ not_yet_tested() }}
        and {{ column_name }} is not null
    group by {{ column_name }}
    having count(*) > 1
{% endtest %}
