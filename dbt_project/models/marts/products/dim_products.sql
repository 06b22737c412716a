with

sold_lines as (

    select
        product_id,
        product_name,
        category,
        quantity,
        line_amount,
        order_date,
        order_id,
        line_id,
        line_date,
        is_cancelled
    from {{ ref("fct_order_items") }}
    where product_id is not null

),

sales as (

    select
        product_id,
        min(order_date) as first_ordered_date,
        max(order_date) as last_ordered_date,
        max(case when product_name is not null then order_date end) as last_named_date,
        max(case when category is not null then order_date end) as last_in_category_date,
        count(*) as order_lines,
        sum(case when is_cancelled then 0 else quantity end) as quantity,
        sum(case when is_cancelled then 0 else line_amount end) as revenue
    from sold_lines
    group by product_id

),

-- a product has the name on its last date with one; of several lines on that date, the first by order and line id
latest_names as (

    select
        sold_lines.product_id,
        {{ first_value_by(
            "case when sold_lines.order_date = sales.last_named_date then sold_lines.product_name end",
            ordered_by(["sold_lines.order_id", "sold_lines.line_id", "sold_lines.line_date"]),
        ) }} as product_name,
        {{ first_value_by(
            "case when sold_lines.order_date = sales.last_in_category_date then sold_lines.category end",
            ordered_by(["sold_lines.order_id", "sold_lines.line_id", "sold_lines.line_date"]),
        ) }} as category
    from sold_lines
    inner join sales
        on
            sold_lines.product_id = sales.product_id
            and (
                sold_lines.order_date = sales.last_named_date
                or sold_lines.order_date = sales.last_in_category_date
            )
    group by sold_lines.product_id

),

product_ids as (

    select product_id from {{ ref("stg_products") }}
    union
    select product_id from sales

)

select
    product_ids.product_id,
    coalesce(products.product_name, latest_names.product_name) as product_name,
    coalesce(products.category, latest_names.category) as category,
    products.unit_price,
    products.currency,
    products.seller_id,
    products.product_id is not null as is_listed,
    sales.first_ordered_date,
    sales.last_ordered_date,
    cast(coalesce(sales.order_lines, 0) as bigint) as order_lines,
    {{ money("coalesce(sales.quantity, 0)") }} as quantity,
    {{ money("coalesce(sales.revenue, 0)") }} as revenue,
    products.updated_at,
    products.properties
from product_ids
left join {{ ref("stg_products") }} as products
    on product_ids.product_id = products.product_id
left join sales
    on product_ids.product_id = sales.product_id
left join latest_names
    on product_ids.product_id = latest_names.product_id
