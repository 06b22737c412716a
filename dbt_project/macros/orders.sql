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


{# Aggregate over the lines of an order that only they tell of: its buyer, one for all of them. It is whom the earliest line
   with a buyer names, so that a later line never makes the order somebody else's; at one time the smallest id. #}
{% macro buyer_of_lines() -%}
    {{ first_value_by("case when order_time is not null then user_id end", ordered_by(["order_time", "user_id"])) }}
{%- endmacro %}
