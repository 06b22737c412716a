{%- set kinds = tier_kinds() | map(attribute="kind") | list -%}

with

judged as (

    select
        user_id,
        judged_on,
        {% for kind in kinds %}
        {{ kind }},
        lag({{ kind }}) over in_order as {{ kind }}_before,
        {% endfor %}
        level,
        lag(level) over in_order as level_before,
        lag(judged_on) over in_order as judged_before
    from {{ ref("int_user_tier_history") }}
    window in_order as (
        partition by user_id
        order by judged_on
    )

),

moves as (

    {% for kind in kinds %}
    select
        user_id,
        '{{ kind }}' as tier_kind,
        judged_before as moved_after,
        judged_on as moved_on,
        {{ kind }}_before as from_tier,
        {{ kind }} as to_tier,
        {{ tier_zh(kind, kind ~ "_before") }} as from_tier_zh,
        {{ tier_zh(kind, kind) }} as to_tier_zh,
        {{ tier_place(kind, kind) }} > {{ tier_place(kind, kind ~ "_before") }} as is_up
    from judged
    where {{ kind }} <> {{ kind }}_before

    union all

    {% endfor %}
    select
        user_id,
        'level' as tier_kind,
        judged_before as moved_after,
        judged_on as moved_on,
        cast(level_before as {{ dbt.type_string() }}) as from_tier,
        cast(level as {{ dbt.type_string() }}) as to_tier,
        {{ level_zh("level_before") }} as from_tier_zh,
        {{ level_zh("level") }} as to_tier_zh,
        level > level_before as is_up
    from judged
    where level <> level_before

)

select
    user_id,
    tier_kind,
    moved_after,
    moved_on,
    moved_on >= {{ period_start("week", as_of()) }} as is_this_week,
    from_tier,
    to_tier,
    from_tier_zh,
    to_tier_zh,
    case when is_up then 'up' else 'down' end as direction,
    {{ as_of() }} as as_of_date
from moves
