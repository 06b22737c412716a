{%- set settings = [] -%}
{%- for section, values in definition_sections() -%}
{%- do collect_settings(settings, section, values) -%}
{%- endfor -%}
{% for name, value in settings %}
select
    {{ text_literal(name) }} as setting,
    cast({{ "null" if value is none else text_literal(value) }} as {{ dbt.type_string() }}) as setting_value
{{ "union all" if not loop.last }}
{%- endfor %}
