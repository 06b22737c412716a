{%- set kinds = tier_kinds() | map(attribute="kind") | list + ["level"] -%}

with

-- place 1 is the lowest tier of a kind
tier_names as (

    {% for kind in tier_kinds() %}
    {% for item in kind.tiers %}
    select
        '{{ kind.kind }}' as tier_kind,
        '{{ item[0] }}' as tier,
        '{{ item[1] }}' as tier_zh,
        {{ loop.index }} as place
    union all
    {% endfor %}
    {% endfor %}
    {% for level in range(1, 6) %}
    select
        'level' as tier_kind,
        '{{ level }}' as tier,
        {{ level_zh(level) }} as tier_zh,
        {{ level }} as place
    {{ "union all" if not loop.last }}
    {% endfor %}

),

compared as (

    select
        user_id,
        judged_on,
        {% for kind in kinds -%}
        {{ kind }},
        lag({{ kind }}) over in_order as {{ kind }}_before,
        {% endfor -%}
        lag(judged_on) over in_order as judged_before
    from {{ ref("int_user_tier_history") }}
    window in_order as (
        partition by user_id
        order by judged_on
    )

),

moved_users as {{ worked_out_once() }} (

    select *
    from compared
    where
        false
        {%- for kind in kinds %}
        or {{ kind }} <> {{ kind }}_before
        {%- endfor %}

),

moves as (

    {% for kind in kinds %}
    select
        user_id,
        '{{ kind }}' as tier_kind,
        judged_before,
        judged_on,
        cast({{ kind }}_before as {{ dbt.type_string() }}) as from_tier,
        cast({{ kind }} as {{ dbt.type_string() }}) as to_tier
    from moved_users
    where {{ kind }} <> {{ kind }}_before
    {{ "union all" if not loop.last }}
    {% endfor %}

)

select
    moves.user_id,
    moves.tier_kind,
    moves.judged_before as moved_after,
    moves.judged_on as moved_on,
    moves.judged_on >= {{ period_start("week", as_of()) }} as is_this_week,
    moves.from_tier,
    moves.to_tier,
    from_names.tier_zh as from_tier_zh,
    to_names.tier_zh as to_tier_zh,
    case when to_names.place > from_names.place then 'up' else 'down' end as direction,
    {{ as_of() }} as as_of_date
from moves
inner join tier_names as from_names
    on
        moves.tier_kind = from_names.tier_kind
        and moves.from_tier = from_names.tier
inner join tier_names as to_names
    on
        moves.tier_kind = to_names.tier_kind
        and moves.to_tier = to_names.tier
