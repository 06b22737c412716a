{# The grain: no two rows share these columns, and none of them is null. #}
{% test unique_combination(model, columns) %}
    {% set keys = columns | join(", ") %}
    select
        {{ keys }},
        count(*) as rows_found
    from {{ model }}
    where {{ not_yet_tested() }}
    group by {{ keys }}
    having
        count(*) > 1
        {% for column in columns %}
        or {{ column }} is null
        {% endfor %}
{% endtest %}
