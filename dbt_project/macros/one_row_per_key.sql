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
    counts. Finding those few keys costs a third of ranking every row: numbers made of the keys are counted, and only
    where a number turns up twice the keys themselves are compared. `date_key` comes first and stays as it is, so that a
    condition on dates reaches every part of the query.
#}
{% macro one_fact_per_key(relation, date_key, key) -%}
    select candidates.*
    from {{ relation }} as candidates
    left join (
        select
            facts.{{ date_key }},
            facts.{{ key }},
            min(facts._row_hash) as first_hash
        from {{ relation }} as facts
        inner join (
            select
                {{ date_key }},
                {{ text_fingerprint(key) }} as fingerprint
            from {{ relation }}
            where {{ up_to_as_of(date_key) }}
            group by {{ date_key }}, {{ text_fingerprint(key) }}
            having count(*) > 1
        ) as suspects
            on
                facts.{{ date_key }} = suspects.{{ date_key }}
                and {{ text_fingerprint("facts." ~ key) }} = suspects.fingerprint
        where {{ up_to_as_of("facts." ~ date_key) }}
        group by facts.{{ date_key }}, facts.{{ key }}
        having count(*) > 1
    ) as repeated
        on
            candidates.{{ date_key }} = repeated.{{ date_key }}
            and candidates.{{ key }} = repeated.{{ key }}
    where
        {{ up_to_as_of("candidates." ~ date_key) }}
        and (repeated.first_hash is null or candidates._row_hash = repeated.first_hash)
{%- endmacro %}
