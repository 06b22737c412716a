{%- set kinds = tier_kinds() | map(attribute="kind") | list -%}

with

current_tiers as (

    select *
    from {{ ref("int_user_tier_history") }}
    where judged_on = {{ as_of() }}

),

last_moves as (

    select
        {% for kind in kinds + ["level"] %}
        {% set moved_from = "case when tier_kind = '" ~ kind ~ "' then from_tier end" %}
        {{ last_value_by(moved_from, "moved_on") }} as {{ kind }}_previous,
        max(case when tier_kind = '{{ kind }}' then moved_on end) as {{ kind }}_changed_on,
        {% endfor %}
        user_id
    from {{ ref("fct_user_tier_moves") }}
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
