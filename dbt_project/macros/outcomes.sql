{# Rank of a campaign touch's outcome by how far it got. An unknown word of the export ranks below all known ones, and
   above no outcome at all. #}
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
