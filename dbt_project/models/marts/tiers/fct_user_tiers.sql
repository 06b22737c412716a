{%- set kinds = tier_kinds() | map(attribute="kind") | list -%}

with

current_tiers as (

    select *
    from {{ ref("int_user_tier_history") }}
    where judged_on = {{ as_of() }}

),

numbered_moves as (

    select
        user_id,
        tier_kind,
        from_tier,
        moved_on,
        row_number() over (partition by user_id, tier_kind order by moved_on desc) as recency
    from {{ ref("fct_user_tier_moves") }}

),

last_moves as (

    select
        {% for kind in kinds + ["level"] %}
        max(case when tier_kind = '{{ kind }}' then from_tier end) as {{ kind }}_previous,
        max(case when tier_kind = '{{ kind }}' then moved_on end) as {{ kind }}_changed_on,
        {% endfor %}
        user_id
    from numbered_moves
    where recency = 1
    group by user_id

)

select
    current_tiers.user_id,
    {% for kind in kinds %}
    cast(current_tiers.{{ kind }} as {{ dbt.type_string() }}) as {{ kind }},
    {{ tier_zh(kind, "current_tiers." ~ kind) }} as {{ kind }}_zh,
    last_moves.{{ kind }}_previous,
    last_moves.{{ kind }}_changed_on,
    {% endfor %}
    current_tiers.level,
    cast(last_moves.level_previous as integer) as level_previous,
    last_moves.level_changed_on,
    current_tiers.level_points,
    current_tiers.trailing_net_revenue,
    current_tiers.trailing_net_sales,
    {{ as_of() }} as as_of_date
from current_tiers
left join last_moves
    on current_tiers.user_id = last_moves.user_id
