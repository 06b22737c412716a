"""Orders are rebuilt by their id: which ones a run touches, and what becomes of them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

FIRST_DAY = date(2024, 1, 1)
ORDERS = ("--select", "+fct_order_items")
MODELS = ("int_exported_orders", "int_order_lines", "fct_orders", "fct_order_items")


def test_a_days_run_rebuilds_the_orders_it_tells_of_and_no_others(lake: Any, warehouse: Any) -> None:
    lake.add_batch("orders", [_order("o1", 1), _order("o2", 2), _order("o3", 3)])
    lake.add_batch("order_items", [_line("l1", "o1", 1), _line("l2", "o2", 2), _line("l3", "o3", 3)])
    warehouse.run(_day(4), *ORDERS)
    for model in MODELS:
        assert _rebuilt(warehouse, model) == "everything"

    lake.add_batch("orders", [_order("o4", 5), _order("o2", 6, gross_amount=20, updated_at=_moment(6))])
    lake.add_batch("order_items", [_line("l4", "o1", 5)])
    warehouse.run(_day(6), *ORDERS)
    assert _rebuilt(warehouse, "int_exported_orders") == {"o2", "o4"}
    for model in MODELS[1:]:
        assert _rebuilt(warehouse, model) == {"o1", "o2", "o4"}, model
    assert warehouse.query("select order_id, order_date, gross_amount, items from fct_orders order by 1") == [
        ("o1", _day(1), 10, 2),
        ("o2", _day(6), 20, 1),
        ("o3", _day(3), 10, 1),
        ("o4", _day(5), 10, 0),
    ]
    assert warehouse.query("select line_id, order_id, order_date from fct_order_items order by 1") == [
        ("l1", "o1", _day(1)),
        ("l2", "o2", _day(6)),
        ("l3", "o3", _day(3)),
        ("l4", "o1", _day(1)),
    ]

    warehouse.run(_day(6), *ORDERS)
    for model in MODELS:
        assert _rebuilt(warehouse, model) == set(), "nothing new, nothing rebuilt"


def test_an_order_taken_back_is_told_by_its_lines_and_by_its_header_once_more(lake: Any, warehouse: Any) -> None:
    told = "select order_id, gross_amount, currency, is_derived from fct_orders order by 1"
    lake.add_batch("order_items", [_line("l1", "o1", 2), _line("l2", "o2", None)])
    headers = [_order("o1", 1, gross_amount=30, currency="USD"), _order("o2", 1, currency="USD")]
    taken_back = lake.add_batch("orders", headers)
    warehouse.run(_day(4), *ORDERS)
    assert warehouse.query(told) == [("o1", 30, "USD", False), ("o2", 10, "USD", False)]

    lake.retire(taken_back)
    warehouse.run(_day(4), *ORDERS)
    assert warehouse.query(told) == [("o1", 10, "CNY", True)], "of o2 nobody knows when it was"
    assert warehouse.query("select line_id, currency from fct_order_items") == [("l1", "CNY")]

    lake.add_batch("orders", headers)
    warehouse.run(_day(4), *ORDERS)
    assert warehouse.query(told) == [("o1", 30, "USD", False), ("o2", 10, "USD", False)]
    assert warehouse.query("select line_id, currency from fct_order_items order by 1") == [("l1", "USD"), ("l2", "USD")]


def test_line_ids_may_be_numbers_within_each_order(lake: Any, warehouse: Any) -> None:
    """Lines 1, 2, 3 of every order, without a time of their own: all of them lie on one date."""
    lake.add_batch("orders", [_order("a", 1), _order("b", 41)])
    lake.add_batch("order_items", [_line("1", "a", None), _line("2", "a", None)])
    warehouse.run(_day(4), *ORDERS)
    lake.add_batch("order_items", [_line("1", "b", None)])
    warehouse.run(_day(42), *ORDERS)
    assert _rebuilt(warehouse, "fct_order_items") == {"b"}
    assert warehouse.query("select order_id, line_id from fct_order_items order by all") == [
        ("a", "1"),
        ("a", "2"),
        ("b", "1"),
    ]
    assert warehouse.query("select order_id, items from fct_orders order by 1") == [("a", 2), ("b", 1)]


def test_a_line_id_on_two_dates_of_an_order_is_two_lines(lake: Any, warehouse: Any) -> None:
    """Sold on one date and returned on another under the same number; a line without a time is a third one."""
    lake.add_batch("orders", [_order("told", 1)])
    lake.add_batch("order_items", [
        _line("1", "derived", 2), _line("1", "derived", 9, quantity=-1),
        _line("1", "told", None), _line("1", "told", 2),
    ])  # fmt: skip
    warehouse.run(_day(12), *ORDERS)
    warehouse.run(_day(12), "--select", "fct_order_items,test_type:generic", command="test")
    assert warehouse.query(
        "select order_id, line_id, line_date, order_date, quantity from fct_order_items order by all"
    ) == [
        ("derived", "1", _day(2), _day(2), 1),
        ("derived", "1", _day(9), _day(2), -1),
        ("told", "1", _day(2), _day(1), 1),
        ("told", "1", None, _day(1), 1),
    ]
    assert warehouse.query("select order_id, items, net_amount from fct_orders order by 1") == [
        ("derived", 2, 0),
        ("told", 2, 10),
    ]


def test_of_two_rows_of_one_line_the_same_one_counts_whichever_came_last(lake: Any, warehouse: Any) -> None:
    """Of two rows of a line the one with the smaller hash counts, until it is taken back."""
    lake.add_batch("orders", [_order("o1", 1)])
    batches = []
    for price in (10, 20):
        batches.append(lake.add_batch("order_items", [_line("l", "o1", 2, unit_price=price)]))
        warehouse.run(_day(4), *ORDERS)
    ((winner,),) = warehouse.query("select unit_price from fct_order_items")
    assert winner in (10, 20)
    warehouse.run(_day(4), *ORDERS, "--full-refresh")
    assert warehouse.query("select unit_price from fct_order_items") == [(winner,)]

    lake.retire(batches[0 if winner == 10 else 1])
    warehouse.run(_day(4), *ORDERS)
    assert warehouse.query("select unit_price from fct_order_items") == [(30 - winner,)]


def test_a_version_counts_from_the_date_it_was_written_on(lake: Any, warehouse: Any) -> None:
    """The export was taken on day 9; runs of earlier dates, in any order, know what was written by their own end."""
    told = "select order_id, status from fct_orders order by 1"
    lake.add_batch("orders", [
        _order("o1", 1, status="paid", updated_at=_moment(1)),
        _order("o1", 1, status="shipped", updated_at=_moment(4)),
        _order("o1", 1, status="cancelled", updated_at=_moment(8)),
        _order("o2", 2, status="paid"),  # nobody says when: known with its order
        _order("o3", 2, status="paid", updated_at=datetime(2024, 1, 4, 15, 59)),  # 23:59 on day 3
        _order("o4", 2, status="paid", updated_at=_moment(2)),
        _order("o4", 2, status="shipped", updated_at=datetime(2024, 1, 4, 16)),  # the midnight that ends day 3
        # nothing written by day 3 has come, but the order was there: the first that is told of it counts
        _order("o5", 2, status="shipped", updated_at=_moment(5)),
        _order("o5", 2, status="delivered", updated_at=_moment(6)),
    ])  # fmt: skip
    always = [("o2", "paid"), ("o3", "paid")]
    known = {
        3: [("o1", "paid"), *always, ("o4", "paid"), ("o5", "shipped")],
        7: [("o1", "shipped"), *always, ("o4", "shipped"), ("o5", "delivered")],
        9: [("o1", "cancelled"), *always, ("o4", "shipped"), ("o5", "delivered")],
    }
    warehouse.run(_day(3), *ORDERS)
    assert warehouse.query(told) == known[3]
    # no new batch, and no date between with an order: what was written since is found all the same
    warehouse.run(_day(7), *ORDERS)
    assert warehouse.query(told) == known[7]
    assert _rebuilt(warehouse, "int_exported_orders") == {"o1", "o4", "o5"}
    assert _rebuilt(warehouse, "fct_orders") == {"o1", "o4", "o5"}
    for day in (9, 3, 9, 7, 3):
        warehouse.run(_day(day), *ORDERS)
        assert warehouse.query(told) == known[day], day
    lake.add_batch("orders", [_order("o9", 12)])
    warehouse.run(_day(9), *ORDERS)
    assert warehouse.query(told) == known[9]


def test_feedback_and_outreach_are_told_as_they_were_written_by_the_as_of_date(lake: Any, warehouse: Any) -> None:
    wanted = ("--select", "+fct_feedback", "+int_outreach")
    versions = [{"updated_at": _moment(day), "status": status} for day, status in ((2, "open"), (8, "closed"))]
    lake.add_batch(
        "feedback", [{"feedback_id": "f1", "user_id": "u1", "feedback_time": _moment(2), **one} for one in versions]
    )
    attempt = {"outreach_id": "c1", "user_id": "u1", "outreach_time": _moment(2)}
    lake.add_batch("outreach", [
        {**attempt, "updated_at": _moment(2), "answered": False},
        {**attempt, "updated_at": _moment(8), "answered": True},
    ])  # fmt: skip
    for day, status, answered in ((5, "open", False), (8, "closed", True), (5, "open", False)):
        warehouse.run(_day(day), *wanted)
        assert warehouse.query("select status from fct_feedback") == [(status,)]
        assert warehouse.query("select answered from int_outreach") == [(answered,)]


def test_the_words_for_cancelled_are_a_setting(lake: Any, warehouse: Any) -> None:
    cancelled = "select order_id from fct_orders where is_cancelled and not is_purchase order by 1"
    statuses = ["paid", None, "Canceled", " CANCELLED ", "已取消", "交易关闭", "voided", "refunded", "closed", "d'oh"]
    lake.add_batch("orders", [_order(f"o{number}", 1, status=status) for number, status in enumerate(statuses)])
    lake.add_batch("order_items", [_line("l", "o5", None)])
    warehouse.run(_day(4), *ORDERS)
    assert warehouse.query(cancelled) == [("o2",), ("o3",), ("o4",), ("o5",), ("o6",)]
    assert warehouse.query("select is_cancelled, is_purchase from fct_order_items") == [(True, False)]

    # another list, and nothing else that is new
    warehouse.run(_day(4), *ORDERS, orders={"cancelled_statuses": ["d'oh", "closed"]})
    assert warehouse.query(cancelled) == [("o8",), ("o9",)]
    assert warehouse.query("select is_cancelled, is_purchase from fct_order_items") == [(False, True)]
    warehouse.run(_day(4), *ORDERS, orders={"cancelled_statuses": []})
    assert warehouse.query(cancelled) == []


def test_an_order_made_of_lines_that_disagree(lake: Any, warehouse: Any) -> None:
    """Several currencies have no sum; of several buyers the earliest line's is the order's."""
    lake.add_batch("order_items", [
        _line("1", "mixed", 2, currency="USD", user_id="u1"), _line("2", "mixed", 2, currency="CNY", user_id="u1"),
        _line("1", "alike", 2, currency="USD", user_id="u9"), _line("2", "alike", 3, currency="USD", user_id="u1"),
        _line("3", "alike", None, currency="USD", user_id="u0"), _line("1", "later", 2, user_id=None),
        _line("2", "later", 5, user_id="u5"), _line("3", "later", 5, user_id="u4"),
    ])  # fmt: skip
    wanted = ("--select", "+fct_order_items", "+int_churn_order_ledger")
    warehouse.run(_day(4), *wanted)
    assert warehouse.query(
        "select order_id, user_id, currency, original_gross_amount, gross_amount from fct_orders order by 1"
    ) == [("alike", "u9", "USD", 30, 30), ("later", None, "CNY", 10, 10), ("mixed", "u1", None, None, 20)]
    warehouse.run(_day(6), *wanted)
    assert warehouse.query("select user_id, gross_amount from fct_orders where order_id = 'later'") == [("u4", 30)]
    # the ledger of what was known when credits the same buyer, from the day the order had one
    assert warehouse.query(
        "select order_id, user_id, order_date, known_date, sum(purchases), sum(gross_amount) "
        "from int_churn_order_ledger group by all order by all"
    ) == [
        ("alike", "u9", _day(2), _day(2), 1, 10),
        ("alike", "u9", _day(2), _day(3), 0, 10),
        ("later", "u4", _day(2), _day(5), 1, 30),
        ("mixed", "u1", _day(2), _day(2), 1, 20),
    ]


def test_lines_without_a_time_are_followed_by_batch(lake: Any, warehouse: Any) -> None:
    """Where orders are exported, their lines have no time of their own, and all of them lie on one date."""
    lake.add_batch("orders", [_order("o1", 1), _order("o2", 2), _order("o3", 3)])
    first = lake.add_batch("order_items", [_line("l1", "o1", None), _line("l2", "o2", None)])
    lake.add_batch("order_items", [_line("l2", "o2", None), _line("l3", "o3", None)])
    warehouse.run(_day(4), *ORDERS)
    lake.add_batch("order_items", [_line("l4", "o3", None)])
    warehouse.run(_day(5), *ORDERS)
    assert _rebuilt(warehouse, "fct_order_items") == {"o3"}
    assert warehouse.query("select order_id, items from fct_orders order by 1") == [("o1", 1), ("o2", 1), ("o3", 2)]

    # of the two lines of a file taken back, one is another file's, too
    lake.retire(first)
    warehouse.run(_day(5), *ORDERS)
    assert _rebuilt(warehouse, "fct_order_items") == {"o1"}
    assert warehouse.query("select order_id, items from fct_orders order by 1") == [("o1", 0), ("o2", 1), ("o3", 2)]


def test_a_rate_that_changed_rebuilds_the_orders_converted_at_it(lake: Any, warehouse: Any) -> None:
    lake.add_batch("orders", [_order("o1", 1, currency="USD"), _order("o2", 9, currency="USD"), _order("o3", 9)])
    lake.add_batch("order_items", [_line("l2", "o2", None), _line("l3", "o3", 9, currency="USD")])
    lake.set_control("exchange_rates", [(_day(0), "USD", 7.0), (_day(5), "USD", 8.0)])
    warehouse.run(_day(12), *ORDERS, has_exchange_rates=True)
    lake.set_control("exchange_rates", [(_day(0), "USD", 7.0), (_day(5), "USD", 9.0)])
    warehouse.run(_day(12), *ORDERS, has_exchange_rates=True)
    assert _rebuilt(warehouse, "int_exported_orders") == {"o2"}
    assert _rebuilt(warehouse, "fct_orders") == {"o2", "o3"}
    assert warehouse.query("select order_id, gross_amount from fct_orders order by 1") == [
        ("o1", 70),
        ("o2", 90),
        ("o3", 10),
    ]
    assert warehouse.query("select line_id, unit_price from fct_order_items order by 1") == [("l2", 90), ("l3", 90)]


def test_orders_of_a_run_that_died_are_rebuilt_by_the_next(lake: Any, warehouse: Any) -> None:
    lake.add_batch("orders", [_order("o1", 1)])
    warehouse.run(_day(4), *ORDERS)
    lake.add_batch("orders", [_order("o1", 1, gross_amount=20, updated_at=_moment(3))])
    lake.add_batch("order_items", [_line("l1", "o1", 1)])
    warehouse.run(_day(4), "--select", "int_exported_orders", "int_order_lines")  # the run dies here
    lake.add_batch("orders", [_order("o2", 4)])
    warehouse.run(_day(4), *ORDERS)
    assert _rebuilt(warehouse, "fct_orders") == {"o1", "o2"}
    assert warehouse.query("select order_id, gross_amount, items from fct_orders order by 1") == [
        ("o1", 20, 1),
        ("o2", 10, 0),
    ]


def _rebuilt(warehouse: Any, model: str) -> set[str] | str:
    """Return the orders that the model's latest run rebuilt."""
    last = f"(select max(rebuild) from pipeline_state.order_rebuilds where model_name = '{model}')"
    if warehouse.query(f"select is_everything from pipeline_state.order_rebuilds where rebuild = {last}") == [(True,)]:
        return "everything"
    found = warehouse.query(
        f"select order_id from pipeline_state.rebuilt_orders where model_name = '{model}' and rebuild = {last}"
    )
    return {order_id for (order_id,) in found}


def _day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


def _moment(day: int) -> datetime:
    return datetime(2024, 1, 1) + timedelta(days=day)


def _order(order_id: str, day: int, **columns: Any) -> dict[str, Any]:
    return {"order_id": order_id, "user_id": "u1", "order_time": _moment(day), "gross_amount": 10, **columns}


def _line(line_id: str, order_id: str, day: int | None, **columns: Any) -> dict[str, Any]:
    order_time = None if day is None else _moment(day)
    return {
        "line_id": line_id, "order_id": order_id, "product_id": "p", "quantity": 1, "unit_price": 10, "user_id": "u1",
        "order_time": order_time, **columns,
    }  # fmt: skip
