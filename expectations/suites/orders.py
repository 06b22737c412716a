"""What is expected of orders, their lines and the products in them."""

from __future__ import annotations

from expectations.checks import Suite, between, exists_in, where
from expectations.tables import Tables


def suites(tables: Tables) -> list[Suite]:
    """Return the suites of this domain for the tables that are built."""
    found = tables.suite(
        "fct_orders", "Orders", "订单", ["order_id"],
        [
            tables.not_after("order_date"),
            where("abs(net_amount - (gross_amount - discount_amount - refund_amount)) > 0.01",
                  ("gross_amount", "discount_amount", "refund_amount", "net_amount"),
                  "net = gross - discount - refund", "净额 = 原价 - 优惠 - 退款"),
            where("is_purchase and not coalesce(gross_amount > 0, false)", ("is_purchase", "gross_amount"),
                  "a purchase has an amount", "有效购买的金额大于 0"),
        ],
    )  # fmt: skip
    if tables.has("fct_orders"):
        found += tables.suite(
            "fct_order_items", "Order lines", "订单明细", ["order_id", "line_id", "line_date"],
            [
                tables.not_after("order_date"),
                exists_in("order_id", tables.sql("fct_orders"), "order_id",
                          "every line belongs to an order of fct_orders", "每条明细都属于一个订单"),
            ],
            nullable=["line_date"],
        )  # fmt: skip
    found += tables.suite(
        "dim_products", "Products", "商品", ["product_id"],
        [
            tables.not_after("last_ordered_date"),
            between("order_lines", "order_lines is not negative", "订单行数不为负", minimum=0),
            where("first_ordered_date > last_ordered_date", ("first_ordered_date", "last_ordered_date"),
                  "the first order is not after the last", "首次下单不晚于最近下单"),
            where("not is_listed and order_lines = 0", ("is_listed", "order_lines"),
                  "a product is listed or was ordered", "商品来自商品表或订单明细"),
        ],
    )  # fmt: skip
    return found
