{# Which team a listed user belongs to, and how long its lists may be. #}

{# Name of the first team whose conditions a user fulfils; null where there is none. #}
{% macro team_of(user_id, region, channel, value_tier) -%}
    {%- set outreach = var("outreach") -%}
    {%- if not outreach.teams -%}
        'default'
    {%- else -%}
        case
            {%- for team in outreach.teams %}
            {%- set conditions = [] %}
            {%- if team.regions %}{% do conditions.append(region ~ " in (" ~ text_literals(team.regions) ~ ")") %}{% endif %}
            {%- if team.channels %}{% do conditions.append(channel ~ " in (" ~ text_literals(team.channels) ~ ")") %}{% endif %}
            {%- if team.value_tiers %}
            {%- do conditions.append(value_tier ~ " in (" ~ text_literals(team.value_tiers) ~ ")") %}
            {%- endif %}
            {%- if team.share is not none %}
            {%- set drawn = drawn_share(dbt.concat(["'team:" ~ team.name ~ ":'", user_id])) %}
            {%- do conditions.append(drawn ~ " < cast('" ~ team.share ~ "' as double)") %}
            {%- endif %}
            when {{ conditions | join(" and ") if conditions else "true" }} then '{{ team.name }}'
            {%- endfor %}
        end
    {%- endif -%}
{%- endmacro %}


{# Longest list of a team. #}
{% macro team_limit(list_name, team) -%}
    {%- set settings = {"churn_warning": var("warning_list"), "winback": var("winback_list")} -%}
    {%- set of_team = {"churn_warning": "max_warning_users", "winback": "max_winback_users"} -%}
    case
        {%- for list in settings %}
        {%- for team_settings in var("outreach").teams if team_settings[of_team[list]] is not none %}
        when {{ list_name }} = '{{ list }}' and {{ team }} = '{{ team_settings.name }}'
            then cast('{{ team_settings[of_team[list]] }}' as bigint)
        {%- endfor %}
        when {{ list_name }} = '{{ list }}' then cast('{{ settings[list].max_users }}' as bigint)
        {%- endfor %}
    end
{%- endmacro %}
