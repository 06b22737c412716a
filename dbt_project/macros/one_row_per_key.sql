{#
    Rows of a source up to the as-of date, one per key.

    keys     columns that identify what the row is about; never null
    order_by which of several rows with the same key is the one that counts

    The as-of filter comes before the choice: a version written later than the as-of date must not hide one that
    was valid then (where the business date is not that of writing, see counting_version_first). The order must be total
    over different rows, so that the choice never depends on arrival.
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
    The same for facts, whose keys hardly ever have two different rows; where they do, the row with the smallest hash
    counts. Finding those few keys costs a third of ranking every row.

    keys      columns that, together with the date, identify what the row is about
    repeated  relation of the keys that have several rows, where they are known; they are looked for otherwise
    wanted    which rows are wanted, as a condition that holds for all rows of a key or for none; all up to the as-of
              date without it. The engine does not see that repeated keys among other rows need not be looked for
    row_hash  column with the hash of a row
#}
{% macro one_fact_per_key(relation, date_key, keys, repeated=none, wanted=none, row_hash="_row_hash") -%}
    {%- set wanted = wanted or up_to_as_of(date_key) -%}
    select candidates.*
    from (select * from {{ relation }} where {{ wanted }}) as candidates
    left join {{ repeated or "(" ~ repeated_facts(relation, date_key, keys, wanted, row_hash) ~ ")" }} as repeated
        on
            candidates.{{ date_key }} = repeated.{{ date_key }}
            {%- for key in keys %}
            and candidates.{{ key }} = repeated.{{ key }}
            {%- endfor %}
    where repeated.first_hash is null or candidates.{{ row_hash }} = repeated.first_hash
{%- endmacro %}


{#
    Keys of facts, unique within a date, that have more than one row: (date_key, keys, first_hash). Numbers made of the
    keys are counted, and only where a number turns up twice the keys themselves are compared.

    condition  which rows are looked at
#}
{% macro repeated_facts(relation, date_key, keys, condition, row_hash="_row_hash") -%}
    {%- set facts_keys = [] -%}
    {%- for key in keys -%}{%- do facts_keys.append("facts." ~ key) -%}{%- endfor -%}
    select
        facts.{{ date_key }},
        {{ facts_keys | join(", ") }},
        min(facts.{{ row_hash }}) as first_hash
    from (select * from {{ relation }} where {{ condition }}) as facts
    inner join (
        select
            {{ date_key }},
            {{ text_fingerprint(keys) }} as fingerprint
        from {{ relation }}
        where {{ condition }}
        group by {{ date_key }}, {{ text_fingerprint(keys) }}
        having count(*) > 1
    ) as suspects
        on
            facts.{{ date_key }} = suspects.{{ date_key }}
            and {{ text_fingerprint(facts_keys) }} = suspects.fingerprint
    group by facts.{{ date_key }}, {{ facts_keys | join(", ") }}
    having count(*) > 1
{%- endmacro %}
