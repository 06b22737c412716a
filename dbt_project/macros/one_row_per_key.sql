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
    The same, for facts: their key hardly ever has two different rows, and then the one with the smallest hash counts.
    Finding those few keys costs a third of ranking every row.

    repeated  relation of the keys that have several rows, where they are known; they are looked for otherwise
    dates     which dates are wanted, as a condition on `date_key`; all up to the as-of date without it. The engine does
              not see that repeated keys of other dates need not be looked for
    row_hash  column with the hash of a row
#}
{% macro one_fact_per_key(relation, date_key, key, repeated=none, dates=none, row_hash="_row_hash") -%}
    {%- set wanted = dates or up_to_as_of(date_key) -%}
    select candidates.*
    from (select * from {{ relation }} where {{ wanted }}) as candidates
    left join {{ repeated or "(" ~ repeated_facts(relation, date_key, key, wanted, row_hash) ~ ")" }} as repeated
        on
            candidates.{{ date_key }} = repeated.{{ date_key }}
            and candidates.{{ key }} = repeated.{{ key }}
    where repeated.first_hash is null or candidates.{{ row_hash }} = repeated.first_hash
{%- endmacro %}


{#
    Keys of facts, unique within a date, that have more than one row: (date_key, key, first_hash). Numbers made of the keys
    are counted, and only where a number turns up twice the keys themselves are compared.

    condition  which dates are looked at, as a condition on `date_key`
#}
{% macro repeated_facts(relation, date_key, key, condition, row_hash="_row_hash") -%}
    select
        facts.{{ date_key }},
        facts.{{ key }},
        min(facts.{{ row_hash }}) as first_hash
    from (select * from {{ relation }} where {{ condition }}) as facts
    inner join (
        select
            {{ date_key }},
            {{ text_fingerprint(key) }} as fingerprint
        from {{ relation }}
        where {{ condition }}
        group by {{ date_key }}, {{ text_fingerprint(key) }}
        having count(*) > 1
    ) as suspects
        on
            facts.{{ date_key }} = suspects.{{ date_key }}
            and {{ text_fingerprint("facts." ~ key) }} = suspects.fingerprint
    group by facts.{{ date_key }}, facts.{{ key }}
    having count(*) > 1
{%- endmacro %}
