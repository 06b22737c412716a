{# Per `key`, the intervals [valid_from, valid_to) follow each other without gap or overlap; only the last is open. #}
{% test intervals_tile(model, key) %}
    with

    neighbours as (

        select
            {{ key }},
            valid_from,
            valid_to,
            lead(valid_from) over (partition by {{ key }} order by valid_from) as next_valid_from
        from {{ model }}
        where {{ not_yet_tested() }}

    )

    select *
    from neighbours
    where
        (valid_to is null and next_valid_from is not null)
        or (valid_to is not null and (next_valid_from is null or next_valid_from <> valid_to))
        or valid_to <= valid_from
{% endtest %}
