{# What orders have in common. #}

{# Whether a status says that an order is cancelled: one of the words in `orders.cancelled_statuses`, which are in small
   letters and trimmed. #}
{% macro is_cancelled(status) -%}
    {%- set cancelled_statuses = var("orders").cancelled_statuses -%}
    {%- if cancelled_statuses -%}
        coalesce(lower(trim({{ status }})) in ({{ text_literals(cancelled_statuses) }}), false)
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}
