{# Amounts are exact decimals: sums do not depend on the order of the rows, so two builds agree to the last digit. #}
{% macro money(expression) -%}
    cast({{ expression }} as decimal(18, 4))
{%- endmacro %}


{# A share between 0 and 1 of two counts or amounts; null when there is nothing to divide by. #}
{% macro share(part, whole) -%}
    (cast({{ part }} as double) / nullif(cast({{ whole }} as double), 0))
{%- endmacro %}
