{#
    Which orders the first models of orders rebuild: incremental strategy `touched_orders`, see touched_keys.sql.

    A later version of an order may change its amounts, its buyer or its date, and its lines may lie on other dates than
    the order. So touched are the orders that have, or had, a version on a touched date (touched_dates.sql), those with a
    version written between the last as-of date and this one, those with a line that came or went, and those whose stored
    amounts were converted at another rate than the one that counts now. The models above follow the log of these.

    A version counts from the date it was written on, which is not the date of its order: an export taken after midnight
    has versions that the run up to the day before leaves out and the next one takes in, with no new batch to tell.

    Touched dates are too much for lines: where orders are exported, their lines have no time of their own, and all of
    them lie on one date.
#}

{# Query of the orders that int_exported_orders has to rebuild. #}
{% macro touched_exported_orders() -%}
    select order_id
    from {{ ref("stg_order_versions") }}
    where {{ on_touched_dates("order_date") }}

    union all

    select order_id
    from {{ this }}
    where {{ on_touched_dates("order_date") }}

    union all

    {%- if last_as_of_date("lake:orders") < var("as_of_date") %}

    select order_id
    from {{ ref("stg_order_versions") }}
    where updated_at >= {{ end_of_day(date_literals([last_as_of_date("lake:orders")])) }}

    union all
    {%- endif %}

    -- where the as-of date went back: of what is stored, the version that counts is the last one written
    select order_id
    from {{ this }}
    where not {{ known_by_as_of("updated_at") }}

    union all

    {{ reconverted_orders("order_date") }}
{%- endmacro %}


{# The as-of date, as text, of this model's last run. #}
{% macro last_as_of_date(input_name) -%}
    {{ return(run_query(watermark_of(input_name, "as_of_date"))[0][0] | string) }}
{%- endmacro %}


{# Query of the orders whose lines int_order_lines rebuilds besides those that int_exported_orders has rebuilt. #}
{% macro touched_orders_of_lines() -%}
    select order_id
    from {{ ref("stg_order_items") }}
    where {{ on_touched_dates("event_date") }} and {{ came_since("lake:order_items", "batch_id", "event_date") }}

    union all

    select stored.order_id
    from {{ this }} as stored
    left join (
        select * from {{ ref("stg_order_items") }} where {{ on_touched_dates("event_date") }}
    ) as exported
        on
            stored.event_date = exported.event_date
            and stored.order_id = exported.order_id
            and stored.line_id = exported.line_id
            and stored.row_hash = exported.row_hash
    where
        {{ on_touched_dates("stored.event_date") }}
        and stored.event_date in ({{ dates_with_losses("lake:order_items") }})
        and exported.line_id is null

    union all

    {{ reconverted_orders("price_date") }}
{%- endmacro %}


{# Query of the orders with amounts in this model that were converted at a rate that has changed since. #}
{% macro reconverted_orders(price_date) -%}
    select stored.order_id
    from {{ this }} as stored
    {{ join_exchange_rates("stored.currency", "stored." ~ price_date) }}
    where
        stored.currency <> '{{ var("currency") }}'
        and stored.exchange_rate <> {{ exchange_rate() }}
{%- endmacro %}


{# Query of the orders in fct_orders whose buyer's account belongs to another user now. #}
{% macro orders_of_other_buyers() -%}
    select stored.order_id
    from {{ this }} as stored
    left join {{ ref("int_identity_accounts") }} as accounts
        on stored.exported_user_id = accounts.account_id
    where stored.user_id <> coalesce(accounts.user_id, stored.exported_user_id)
{%- endmacro %}


{# Condition: the date is touched, be it before or after the as-of date. #}
{% macro on_touched_dates(business_date) -%}
    {%- set dates = touched_dates() -%}
    {{ business_date ~ " in (" ~ date_literals(dates) ~ ")" if dates else "false" }}
{%- endmacro %}


{# Condition: the row's batch is newer than this model's last run, or its date has only now been reached by the as-of
   date. #}
{% macro came_since(input_name, batch_id, business_date) -%}
    (
        {{ batch_id }} in (
            select batch_id
            from {{ ref("stg_ingest_batch_dates") }}
            where
                entity = '{{ input_name.split(":")[1] }}'
                and batch_seq > ({{ watermark_of(input_name, "consumed") }})
        )
        or {{ business_date }} > ({{ watermark_of(input_name, "least(as_of_date, " ~ as_of() ~ ")") }})
    )
{%- endmacro %}


{# Query of the dates of the batches retired since this model's last run. #}
{% macro dates_with_losses(input_name) -%}
    select dates.event_date
    from {{ ref("stg_ingest_batch_dates") }} as dates
    inner join {{ ref("stg_ingest_batches") }} as batches
        on dates.batch_id = batches.batch_id
    where
        batches.entity = '{{ input_name.split(":")[1] }}'
        and batches.retired_seq > ({{ watermark_of(input_name, "consumed") }})
{%- endmacro %}


{# Incremental strategy `touched_orders`: replace the rows of the orders that the pre-hook has logged by what was built
   for them. #}
{% macro get_incremental_touched_orders_sql(arg_dict) %}
    {%- set target = arg_dict["target_relation"] -%}
    {%- set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) -%}
    delete from {{ target }}
    where {{ in_touched_orders("order_id") }};
    insert into {{ target }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }};
{% endmacro %}
