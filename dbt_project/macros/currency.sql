{#
    Money in the marts is in the project's currency. An amount in another currency is multiplied by the latest rate on
    or before its business date (by the first rate where there is no earlier one). Nothing is converted without a rate
    table, nor is a currency without a rate.
#}

{# Joins `rates` to the rows of a query; nothing to join when there is no rate table. #}
{% macro join_exchange_rates(currency, business_date) -%}
    {%- set rates = ref("stg_exchange_rates") -%}
    {%- if var("has_exchange_rates") -%}
        {{ left_join_valid_at(rates, "rates", "currency", currency, business_date) }}
    {%- endif -%}
{%- endmacro %}


{# Units of the project's currency that one unit is worth, from the joined `rates`; 1 where nothing is converted. #}
{% macro exchange_rate() -%}
    cast({{ "coalesce(rates.rate, 1)" if var("has_exchange_rates") else "1" }} as {{ rate_type() }})
{%- endmacro %}


{# Type of a rate: an exact decimal like money, so that an amount times a rate keeps all 14 decimals until it is
   rounded. #}
{% macro rate_type() -%}
    decimal(18, 10)
{%- endmacro %}


{# An amount of a row with joined `rates`, in the project's currency. The cast makes room for the product's digits. #}
{% macro in_project_currency(amount) -%}
    {{ money("cast(" ~ amount ~ " as decimal(20, 4)) * " ~ exchange_rate()) if var("has_exchange_rates") else money(amount) }}
{%- endmacro %}


{# Query of the dates on which int_events has values converted at a rate that has changed since. #}
{% macro reconverted_dates() -%}
    select stored.business_date
    from (
        select distinct
            event_date as business_date,
            currency,
            exchange_rate
        from {{ this }}
        where currency <> '{{ var("currency") }}'
    ) as stored
    {{ join_exchange_rates("stored.currency", "stored.business_date") }}
    where stored.exchange_rate <> {{ exchange_rate() }}
{%- endmacro %}
