{#- One branch per tag of config/tags.yml. Rules there are conditions, not SQL: macros/tags.sql translates them. -#}
{%- set tags = tag_definitions() -%}
-- depends_on: {{ ref("dim_user_personas") }} (without tags nothing else refers to it)
with

-- a top share is a share of the users whose figure is above zero; ties go to the smaller user id
personas as (

    select
    {% for column in ranked_tag_columns(tags) %}
        row_number() over (
            order by case when {{ adapter.quote(column) }} > 0 then {{ adapter.quote(column) }} end desc nulls last, user_id
        ) as {{ adapter.quote(column ~ "_place") }},
        count(case when {{ adapter.quote(column) }} > 0 then 1 end) over () as {{ adapter.quote(column ~ "_ranked") }},
        {% endfor %}
        personas.*
    from {{ ref("dim_user_personas") }} as personas

),

tagged as (

    {% for tag in tags %}
    select
        user_id,
        {{ text_literal(tag.id) }} as tag_id,
        {{ text_literal(tag.name_en) }} as tag_name_en,
        {{ text_literal(tag.name_zh) }} as tag_name_zh,
        {{ text_literal(tag.group) }} as tag_group,
        cast({{ adapter.quote(tag.shows) if tag.shows else "null" }} as {{ dbt.type_string() }}) as tag_value,
        as_of_date
    from personas
    where
        {% for condition in tag.conditions %}
        {{ "and " if not loop.first }}{{ tag_condition(condition) }}
        {% endfor %}
    {% if not loop.last %}

    union all

    {% endif %}
    {% else %}
    select
        user_id,
        cast(null as {{ dbt.type_string() }}) as tag_id,
        cast(null as {{ dbt.type_string() }}) as tag_name_en,
        cast(null as {{ dbt.type_string() }}) as tag_name_zh,
        cast(null as {{ dbt.type_string() }}) as tag_group,
        cast(null as {{ dbt.type_string() }}) as tag_value,
        as_of_date
    from personas
    where false
    {% endfor %}

)

select * from tagged
