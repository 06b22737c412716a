{# Amounts are exact decimals: sums do not depend on the order of the rows, so two builds agree to the last digit. #}
{% macro money(expression) -%}
    cast({{ expression }} as decimal(18, 4))
{%- endmacro %}


{# Pieces times a price. The casts make room for the product's digits: of two 18-digit decimals some engines make
   another one of 18 digits, which a large price and its eight decimals do not fit in. #}
{% macro pieces_times_price(quantity, price) -%}
    cast({{ quantity }} as decimal(19, 4)) * cast({{ price }} as decimal(19, 4))
{%- endmacro %}


{# A share between 0 and 1 of two counts or amounts; null when there is nothing to divide by. #}
{% macro share(part, whole) -%}
    (cast({{ part }} as double) / nullif(cast({{ whole }} as double), 0))
{%- endmacro %}
