{#
    Rows of a source up to the as-of date, one per key.

    keys     columns that identify what the row is about; never null
    order_by which of several rows with the same key is the one that counts

    The as-of filter comes before the choice: a version written later than the as-of date must not hide one that
    was valid then. The order must be total over different rows, so that the choice never depends on arrival.
#}
{% macro one_row_per_key(relation, keys, order_by) -%}
    select ranked.*
    from (
        select
            candidates.*,
            row_number() over (partition by {{ keys | join(", ") }} order by {{ order_by | join(", ") }}) as _rank
        from {{ relation }} as candidates
        where {{ up_to_as_of("candidates.event_date") }}
    ) as ranked
    where ranked._rank = 1
{%- endmacro %}


{#
    The same, for facts: their key hardly ever has two different rows, and then the one with the smallest `_row_hash`
    counts. Finding those few keys costs half of ranking every row.
#}
{% macro one_fact_per_key(relation, keys) -%}
    select candidates.*
    from {{ relation }} as candidates
    left join (
        select
            {{ keys | join(", ") }},
            min(_row_hash) as first_hash
        from {{ relation }}
        where {{ up_to_as_of("event_date") }}
        group by {{ keys | join(", ") }}
        having count(*) > 1
    ) as repeated
        on {% for key in keys %}candidates.{{ key }} = repeated.{{ key }}{{ " and " if not loop.last }}{% endfor %}
    where
        {{ up_to_as_of("candidates.event_date") }}
        and (repeated.first_hash is null or candidates._row_hash = repeated.first_hash)
{%- endmacro %}
