{#-
    What was known of an order, and from when: summing the entries known up to a date gives the orders as they looked
    on that date. fct_orders cannot tell: it shows a refund of March in the order of January.
-#}
with

versions as (

    select
        order_id,
        user_id,
        order_date,
        coalesce({{ local_date("updated_at") }}, order_date) as updated_on,
        updated_at,
        row_hash,
        channel,
        {{ is_cancelled("status") }} as is_cancelled,
        gross_amount,
        discount_amount,
        refund_amount
    from {{ ref("stg_order_versions") }}

),

dated_versions as (

    select
        versions.*,
        case when updated_on > order_date then updated_on else order_date end as known_date,
        row_number() over (
            partition by order_id
            order by updated_at nulls first, row_hash
        ) as version_number
    from versions

),

succeeded_versions as (

    select
        dated_versions.*,
        lead(known_date) over (
            partition by order_id
            order by version_number
        ) as next_known_date
    from dated_versions

),

version_entries as (

    select
        order_id,
        user_id,
        order_date,
        known_date,
        1 as direction,
        channel,
        is_cancelled,
        gross_amount,
        discount_amount,
        refund_amount
    from succeeded_versions
    union all
    select
        order_id,
        user_id,
        order_date,
        case when next_known_date > known_date then next_known_date else known_date end as known_date,
        -1 as direction,
        channel,
        is_cancelled,
        gross_amount,
        discount_amount,
        refund_amount
    from succeeded_versions
    where next_known_date is not null

),

orderless_lines as (

    select
        order_id,
        user_id,
        order_time,
        event_date,
        channel,
        line_amount
    from {{ ref("int_order_lines") }}
    where
        not has_exported_order
        and order_time is not null

),

-- an order has the buyer of its earliest line that names one, and is known only from that line's date on
line_buyers as (

    select
        order_id,
        {{ buyer_of_lines() }} as user_id,
        min(event_date) as order_date,
        min(case when user_id is not null then event_date end) as buyer_known_date
    from orderless_lines
    group by order_id

),

credited_lines as (

    select
        lines.order_id,
        buyers.user_id,
        buyers.order_date,
        case
            when lines.event_date > buyers.buyer_known_date then lines.event_date
            else buyers.buyer_known_date
        end as known_date,
        lines.channel,
        lines.line_amount
    from orderless_lines as lines
    inner join line_buyers as buyers
        on lines.order_id = buyers.order_id
    where buyers.user_id is not null

),

orderless_line_days as (

    select
        order_id,
        user_id,
        order_date,
        known_date,
        max(channel) as channel,
        sum(case when line_amount > 0 then line_amount else 0 end) as gross_amount,
        sum(case when line_amount < 0 then -line_amount else 0 end) as refund_amount
    from credited_lines
    group by order_id, user_id, order_date, known_date

),

first_bought_line_days as (

    select
        order_id,
        min(known_date) as known_date
    from orderless_line_days
    where gross_amount > 0
    group by order_id

),

line_entries as (

    select
        days.order_id,
        days.user_id,
        days.order_date,
        days.known_date,
        days.channel,
        case when firsts.order_id is not null then 1 else 0 end as purchases,
        {{ money("days.gross_amount") }} as gross_amount,
        {{ money("0") }} as discount_amount,
        {{ money("days.refund_amount") }} as refund_amount
    from orderless_line_days as days
    left join first_bought_line_days as firsts
        on
            days.order_id = firsts.order_id
            and days.known_date = firsts.known_date

)

select
    order_id,
    user_id,
    order_date,
    known_date,
    channel,
    case when gross_amount > 0 then direction else 0 end as purchases,
    {{ money("direction * gross_amount") }} as gross_amount,
    {{ money("direction * discount_amount") }} as discount_amount,
    {{ money("direction * refund_amount") }} as refund_amount
from version_entries
where
    user_id is not null
    and not is_cancelled
union all
select
    order_id,
    user_id,
    order_date,
    known_date,
    channel,
    purchases,
    gross_amount,
    discount_amount,
    refund_amount
from line_entries
