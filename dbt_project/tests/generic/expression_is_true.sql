{# A condition over one row that holds for every row; a condition that is null fails. #}
{% test expression_is_true(model, expression) %}
    select *
    from {{ model }}
    where
        {{ not_yet_tested() }}
        and not coalesce({{ expression }}, false)
{% endtest %}
