{%- set digits = tier_digits() -%}

with

tier_names as (

    {% for kind in tier_kinds() %}
    {% for item in kind.tiers %}
    select
        {{ loop.index * digits[kind.kind] }} as place,
        '{{ kind.kind }}' as tier_kind,
        '{{ item[0] }}' as tier,
        '{{ item[1] }}' as tier_zh
    union all
    {% endfor %}
    {% endfor %}
    {% for level in range(1, 6) %}
    select
        {{ level * digits.level }} as place,
        'level' as tier_kind,
        '{{ level }}' as tier,
        {{ level_zh(level) }} as tier_zh
    {{ "union all" if not loop.last }}
    {% endfor %}

),

digits as (

    {% for digit in digits.values() %}
    select {{ digit }} as digit
    {{ "union all" if not loop.last }}
    {% endfor %}

),

-- all tiers of a user at a date as one number, so that a row is compared with the one before at once
judged as (

    select
        user_id,
        judged_on,
        level * {{ digits.level }}
        {%- for kind in tier_kinds() | map(attribute="kind") %}
        + {{ tier_place(kind, kind) }} * {{ digits[kind] }}
        {%- endfor %} as places
    from {{ ref("int_user_tier_history") }}

),

compared as (

    select
        user_id,
        judged_on,
        places,
        lag(judged_on) over in_order as judged_before,
        lag(places) over in_order as places_before
    from judged
    window in_order as (
        partition by user_id
        order by judged_on
    )

),

moved_users as (

    select *
    from compared
    where places <> places_before

),

-- a kind's place keeps its digit's position, so that no two kinds share a place
moves as (

    select
        moved_users.user_id,
        moved_users.judged_before,
        moved_users.judged_on,
        mod(moved_users.places_before, digits.digit * 10) - mod(moved_users.places_before, digits.digit) as from_place,
        mod(moved_users.places, digits.digit * 10) - mod(moved_users.places, digits.digit) as to_place
    from moved_users
    cross join digits

)

select
    moves.user_id,
    to_names.tier_kind,
    moves.judged_before as moved_after,
    moves.judged_on as moved_on,
    moves.judged_on >= {{ period_start("week", as_of()) }} as is_this_week,
    from_names.tier as from_tier,
    to_names.tier as to_tier,
    from_names.tier_zh as from_tier_zh,
    to_names.tier_zh as to_tier_zh,
    case when moves.to_place > moves.from_place then 'up' else 'down' end as direction,
    {{ as_of() }} as as_of_date
from moves
inner join tier_names as from_names
    on moves.from_place = from_names.place
inner join tier_names as to_names
    on moves.to_place = to_names.place
where moves.from_place <> moves.to_place
