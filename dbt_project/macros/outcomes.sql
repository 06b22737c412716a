{# How far a campaign touch got: the export's own words count for less than the known ones, and for more than none. #}
{% macro outcome_rank(outcome) -%}
    case lower(coalesce({{ outcome }}, ''))
        when 'converted' then 4
        when 'clicked' then 3
        when 'opened' then 2
        when 'sent' then 1
        when '' then -1
        else 0
    end
{%- endmacro %}
