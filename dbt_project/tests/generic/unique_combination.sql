{# The grain: no two rows share these columns, and none of them is null. #}
{% test unique_combination(model, columns) %}
    {% set keys = columns | join(", ") %}
    {% set to_test = not_yet_tested() %}
    {{ repeated_keys(model, columns, to_test) }}

    union

    select
        {{ keys }},
        count(*) as rows_found
    from {{ model }}
    where {{ to_test }} and ({{ columns | join(" is null or ") }} is null)
    group by {{ keys }}
{% endtest %}
