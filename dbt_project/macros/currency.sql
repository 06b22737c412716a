{#
    Money of the marts is in the project's currency. An amount in another one is multiplied by the latest rate on or
    before its business date (before the first rate: by the first one). Without a rate table nothing is converted, and
    neither is a currency that has no rate.
#}

{# Joins `rates` to the rows of a query; nothing to join when there is no rate table. #}
{% macro join_exchange_rates(currency, business_date) -%}
    {%- set rates = ref("stg_exchange_rates") -%}
    {%- if var("has_exchange_rates") -%}
        {{ left_join_valid_at(rates, "rates", "currency", currency, business_date) }}
    {%- endif -%}
{%- endmacro %}


{# Units of the project's currency one unit is worth, of the joined `rates`. #}
{% macro exchange_rate() -%}
    cast({{ "coalesce(rates.rate, 1)" if var("has_exchange_rates") else "1" }} as {{ rate_type() }})
{%- endmacro %}


{# Exact like money: an amount times a rate keeps all 14 decimals before it is rounded. #}
{% macro rate_type() -%}
    decimal(18, 10)
{%- endmacro %}


{# An amount of a row with joined `rates`, in the project's currency. The cast makes room for the product's digits. #}
{% macro in_project_currency(amount) -%}
    {{ money("cast(" ~ amount ~ " as decimal(20, 4)) * " ~ exchange_rate()) if var("has_exchange_rates") else money(amount) }}
{%- endmacro %}


{# Dates on which int_events holds values converted at another rate than the one that counts now. #}
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
