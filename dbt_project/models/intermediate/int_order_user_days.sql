-- Days with a purchase. Only purchases are counted and say when and what was ordered; refund invoices of such a day
-- count in its amounts, cancelled orders in nothing.
select
    user_id,
    order_date as activity_date,
    cast(sum(case when is_purchase then 1 else 0 end) as bigint) as orders,
    cast(sum(case when is_purchase then items else 0 end) as bigint) as items,
    {{ money("sum(gross_amount)") }} as gross_revenue,
    {{ money("sum(discount_amount)") }} as discount_amount,
    {{ money("sum(refund_amount)") }} as refund_amount,
    {{ money("sum(net_amount)") }} as net_revenue,
    {{ first_value_by(
        "case when is_purchase then channel end", ordered_by(["ordered_at", "order_id"])
    ) }} as order_channel,
    min(case when is_purchase then ordered_at end) as first_order_at,
    max(case when is_purchase then ordered_at end) as last_order_at
from {{ ref("fct_orders") }}
where
    user_id is not null
    and not is_cancelled
group by user_id, order_date
having sum(case when is_purchase then 1 else 0 end) > 0
