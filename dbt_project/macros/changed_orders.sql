{#
    Dates on which fct_user_days and the orders as they are now disagree.

    A later version of an order may change its amounts, its buyer or its date, so the dates of new batches do not show
    which user days it touches. A comparison of what is stored with what should be stored does, whatever the reason.
#}
{% macro dates_with_changed_orders() -%}
    {%- set order_columns = [
        "user_id", "activity_date", "orders", "items", "gross_revenue", "discount_amount", "refund_amount",
        "net_revenue", "order_channel", "first_order_at", "last_order_at",
    ] | join(", ") -%}
    {%- set stored -%}
        select {{ order_columns }}
        from {{ this }}
        where orders > 0
    {%- endset -%}
    {%- set current -%}
        select {{ order_columns }}
        from {{ ref("int_order_user_days") }}
    {%- endset -%}
    select activity_date as business_date
    from (({{ stored }}) except ({{ current }})) as gone

    union all

    select activity_date as business_date
    from (({{ current }}) except ({{ stored }})) as added
{%- endmacro %}
