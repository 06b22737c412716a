{# dbt's own test, of the rows that it has not passed on yet. #}
{% test accepted_values(model, column_name, values, quote=True) %}
    select
        {{ column_name }} as value_field,
        count(*) as n_records
    from {{ model }}
    where
        {{ not_yet_tested() }}
        and {{ column_name }} not in (
            {%- for value in values %}{{ "'" ~ value ~ "'" if quote else value }}{{ ", " if not loop.last }}{% endfor -%}
        )
    group by {{ column_name }}
{% endtest %}
