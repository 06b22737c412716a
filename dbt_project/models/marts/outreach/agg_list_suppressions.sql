{{
    config(
        materialized="incremental",
        incremental_strategy="append",
        on_schema_change="append_new_columns",
        pre_hook="{{ forget_list_dates() }}",
    )
}}

with

left_alone as (

    select
        list_name,
        as_of_date,
        suppression_reason as reason,
        worth
    from {{ ref("int_contact_lists") }}
    where
        fate = 'suppressed'
        and {{ in_list_dates_to_write("as_of_date") }}

    union all

    select
        list_name,
        as_of_date,
        'holdout' as reason,
        worth
    from {{ ref("int_contact_lists") }}
    where
        is_holdout
        and {{ in_list_dates_to_write("as_of_date") }}

)

select
    list_name,
    as_of_date,
    reason,
    {{ suppression_reason_zh("reason") }} as reason_zh,
    count(*) as users,
    cast(sum(cast(worth as decimal(18, 2))) as decimal(18, 2)) as worth,
    '{{ var("currency") }}' as currency
from left_alone
group by list_name, as_of_date, reason
