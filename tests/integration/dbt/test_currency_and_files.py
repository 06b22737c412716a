"""Money in the project's currency, late and replaced files, and lakes that an older version wrote."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

FIRST_DAY = date(2024, 1, 1)
CONVERTED = ("--select", "+fct_order_items", "+fct_user_days", "+dim_products")
LATE = ("--select", "+agg_late_data", "+agg_ingest_reconciliation", "+fct_user_days")


def test_amounts_are_converted_at_the_rate_of_their_date(lake: Any, warehouse: Any) -> None:
    """USD is worth 7 from day 5 and 8 from day 10; before day 5 the first rate counts; EUR has no rate."""
    lake.add_batch("orders", [
        _order("o1", 3, 100, currency="USD", discount_amount=10, refund_amount=5), _order("o2", 9, 100, currency="USD"),
        _order("o3", 10, 100, currency="USD"), _order("o4", 10, 100), _order("o5", 10, 100, currency="EUR"),
    ])  # fmt: skip
    lake.add_batch("order_items", [
        {"line_id": "l1", "order_id": "o3", "product_id": "p1", "quantity": 2, "unit_price": 50},
        {"line_id": "l2", "order_id": "o9", "product_id": "p1", "quantity": 1, "unit_price": Decimal("0.0001"),
         "order_time": _moment(10), "currency": "USD", "user_id": "u1"},
    ])  # fmt: skip
    lake.add_batch("products", [{"product_id": "p1", "unit_price": 50, "currency": "USD"}])
    lake.add_batch("events", [
        _event("a", 3, user_id="u1", value=2, currency="USD"), _event("b", 10, user_id="u1", value=2, currency="USD"),
        _event("c", 10, user_id="u1", value=2),
    ])  # fmt: skip
    lake.set_control("exchange_rates", [(_day(5), "USD", 7.0), (_day(10), "USD", 8.0)])
    warehouse.run(_day(12), *CONVERTED, has_exchange_rates=True)
    assert warehouse.query("select order_id, gross_amount, net_amount, currency, exchange_rate, original_gross_amount "
                           "from fct_orders order by 1") == [
        ("o1", 700, 595, "USD", 7, 100), ("o2", 700, 700, "USD", 7, 100), ("o3", 800, 800, "USD", 8, 100),
        ("o4", 100, 100, "CNY", 1, 100), ("o5", 100, 100, "EUR", 1, 100),
        ("o9", Decimal("0.0008"), Decimal("0.0008"), "USD", 8, Decimal("0.0001")),
    ]  # fmt: skip
    lines = warehouse.query("select line_id, unit_price, line_amount, currency from fct_order_items order by 1")
    assert lines == [("l1", 400, 800, "USD"), ("l2", Decimal("0.0008"), Decimal("0.0008"), "USD")]
    assert warehouse.query("select unit_price, currency from dim_products") == [(400, "USD")]
    assert warehouse.query("select event_id, event_value from int_events order by 1") == [
        ("a", 14),
        ("b", 16),
        ("c", 2),
    ]
    ran = warehouse.run(
        _day(12), "--select", "currency_every_currency_has_a_rate", command="test", has_exchange_rates=True
    )
    statuses = {
        result.node.name: (str(result.status), result.failures) for result in ran if hasattr(result, "failures")
    }
    assert statuses["currency_every_currency_has_a_rate"] == ("warn", 1), "EUR"

    # a mended rate rebuilds the dates it is about and no others
    lake.set_control("exchange_rates", [(_day(5), "USD", 7.0), (_day(10), "USD", 9.0)])
    warehouse.run(_day(12), *CONVERTED, has_exchange_rates=True)
    assert warehouse.query("select event_id, event_value from int_events order by 1") == [
        ("a", 14),
        ("b", 18),
        ("c", 2),
    ]
    assert _rebuilt_dates(warehouse, "int_events") == {_day(10)}
    assert _rebuilt_dates(warehouse, "fct_user_days") == {_day(10)}
    assert warehouse.query("select gross_revenue from fct_user_days where activity_date = date '2024-01-11'") == [
        (Decimal("1100.0009"),)
    ]

    # no table, nothing converted
    lake.set_control("exchange_rates", [])
    warehouse.run(_day(12), *CONVERTED)
    assert warehouse.query("select sum(event_value) from int_events") == [(6,)]
    assert warehouse.query("select sum(gross_amount) from fct_orders") == [(Decimal("500.0001"),)]


def test_late_rows_are_reported_with_what_they_restated(lake: Any, warehouse: Any) -> None:
    """Day 5 is app's first load; the run of day 7 brings rows of days 7, 6 and 4, falling into three old sessions."""
    lake.add_batch("events", [
        _event("a", 1, user_id="u1"), _event("b", 4, user_id="u1"), _event("c", 4, seconds=9000, user_id="u1"),
        _event("d", 4, user_id="u2", session_id="s"), _event("e", 5, user_id="u1"),
        _event("u6-1", 4, user_id="u6"), _event("u6-2", 4, seconds=9000, user_id="u6"),
    ], source="app", as_of=_day(5))  # fmt: skip
    warehouse.run(_day(5), *LATE)
    first = (
        "select days_late, loaded_rows, is_first_load, dates_restated, sessions_restated from agg_late_data order by 1"
    )
    assert warehouse.query(first) == [(0, 1, True, 0, 0), (1, 5, True, 0, 0), (4, 1, True, 0, 0)]

    lake.add_batch("events", [
        _event("f", 4, seconds=9060, user_id="u1"), _event("g", 4, seconds=60, user_id="u6"),
        _event("h", 4, seconds=7000, user_id="u2", session_id="s"), _event("i", 6, user_id="u3"),
        *(_event(f"t{n}", 7, user_id="u1") for n in range(6)),
    ], source="app", as_of=_day(7))  # fmt: skip
    lake.add_batch("orders", [_order("o", 4, 10)], source="shop", as_of=_day(7))
    lake.add_batch("orders", [_order("p", 2, 10), _order("q", 8, 10)], source="shop", as_of=_day(8))
    warehouse.run(_day(8), *LATE)
    report = """
        select source, entity, as_of_date, days_late, loaded_rows, share_of_run, dates_restated, sessions_restated
        from agg_late_data where not is_first_load order by 1, 3, 4
    """
    expected = [
        ("app", "events", _day(7), 0, 6, 0.6, 0, 0), ("app", "events", _day(7), 1, 1, 0.1, 0, 1),
        ("app", "events", _day(7), 3, 3, 0.3, 1, 3), ("shop", "orders", _day(8), 0, 1, 0.5, 0, 0),
        ("shop", "orders", _day(8), 6, 1, 0.5, 1, 0),
    ]  # fmt: skip
    assert warehouse.query(report) == expected
    assert _rebuilt_dates(warehouse, "fct_user_days") == {_day(2), _day(4), _day(6), _day(7), _day(8)}
    ((in_report, in_lake),) = warehouse.query(
        "select (select sum(loaded_rows) from agg_late_data), sum(rows_loaded) from agg_ingest_reconciliation"
    )
    assert in_report == in_lake, "dated rows add up to what the lake holds"
    warehouse.run(_day(9), *LATE)
    assert warehouse.query(report) == expected, "a later run does not rewrite what an earlier one reported"
    warehouse.run(_day(9), *LATE, "--full-refresh")
    assert warehouse.query(report) == expected


def test_a_retired_batch_takes_its_rows_out_of_exactly_its_dates(lake: Any, warehouse: Any) -> None:
    """The file of day 3 is replaced: one event is gone for good, one was in another file too, one order is mended."""
    lake.add_batch("events", [_event("a", 1, user_id="u1"), _event("b", 2, user_id="u1")], as_of=_day(3))
    wrong = lake.add_batch(
        "events", [_event("c", 3, user_id="u2"), _event("d", 4, user_id="u2"), _event("b", 2, user_id="u9")],
        as_of=_day(3),
    )  # fmt: skip
    other = lake.add_batch("events", [_event("d", 4, user_id="u2"), _event("e", 6, user_id="u3")], as_of=_day(6))
    wrong_order = lake.add_batch("orders", [_order("o", 8, 99)], as_of=_day(8))
    warehouse.run(_day(9), *LATE)
    days = "select user_id, activity_date, net_revenue from fct_user_days order by 2, 1"
    assert len(warehouse.query(days)) == 6

    lake.retire(wrong)
    lake.retire(wrong_order)
    lake.add_batch("orders", [_order("o", 7, 10)], as_of=_day(9))
    warehouse.run(_day(9), *LATE)
    assert warehouse.query(days) == [
        ("u1", _day(1), 0), ("u1", _day(2), 0), ("u2", _day(4), 0), ("u3", _day(6), 0), ("u1", _day(7), 10),
    ]  # fmt: skip
    assert _rebuilt_dates(warehouse, "int_events") == {_day(2), _day(3), _day(4)}
    assert _rebuilt_dates(warehouse, "fct_user_days") == {_day(2), _day(3), _day(4), _day(7), _day(8)}
    promoted = [file.name for file in lake.root.glob("raw/events/*/*.parquet") if file.name.count(".") == 2]
    assert promoted == [f"{other}.{wrong}.parquet"], "the row both files had is the other one's now"
    states = warehouse.query("select batch_id, state, rows_loaded from agg_ingest_reconciliation order by batch_seq")
    assert (wrong, "retired", 3) in states
    assert (other, "committed", 2) in states
    assert sum(rows for _, state, rows in states if state == "committed") == 5


def test_lake_files_without_a_column_of_today_are_read_with_nulls(lake: Any, warehouse: Any) -> None:
    """Before `properties` every entity had one column less; the lakes people have are not written again."""
    lake.add_batch("orders", [_order("old", 1, 10)], without=["properties"])
    lake.add_batch("orders", [_order("new", 2, 10, properties='{"a": 1}')])
    lake.add_batch("users", [{"user_id": "u1", "city": "Delft"}], without=["properties"])
    lake.add_batch("order_items", [_line("l1", "old")], without=["properties"])
    lake.add_batch("events", [_event("a", 1, user_id="u1")])
    warehouse.run(_day(3))
    found = warehouse.query("select order_id, properties from stg_order_versions order by 1")
    assert found == [("new", '{"a": 1}'), ("old", None)]
    assert warehouse.query("select user_id, city from dim_users") == [("u1", "Delft")]


def test_of_a_touch_told_several_times_the_furthest_outcome_counts(lake: Any, warehouse: Any) -> None:
    def touch(touch_id: str, outcome: str | None, day: int | None = 1) -> dict[str, Any]:
        moment = None if day is None else _moment(day)
        return {"touch_id": touch_id, "campaign_id": "c", "user_id": "u", "touch_time": moment, "outcome": outcome}

    lake.add_batch("campaign_touches", [
        touch("t1", "sent"), touch("t1", "clicked"), touch("t1", "opened"), touch("t2", None), touch("t2", "bounced"),
        touch("t3", "sent", day=None), touch("t1", "converted", day=5),
    ])  # fmt: skip
    warehouse.run(_day(3), "--select", "+fct_campaign_touches")
    assert warehouse.query("select touch_id, touch_date, outcome from fct_campaign_touches order by 1") == [
        ("t1", _day(1), "clicked"), ("t2", _day(1), "bounced"), ("t3", None, "sent"),
    ]  # fmt: skip


def test_notes_of_sources_are_a_table(lake: Any, warehouse: Any) -> None:
    note = (_day(3), "shop", "ingest", "vanished", "warning", "shop/a.csv", "it was here yesterday")
    tomorrow = (_day(4), "shop", "gate", "volume_empty", "error", "", "nothing came")
    lake.set_control("source_notes", [note, tomorrow])
    warehouse.run(_day(3), "--select", "+agg_source_notes")
    assert warehouse.query("from agg_source_notes") == [note]


def _rebuilt_dates(warehouse: Any, model: str) -> set[date]:
    """Dates the model's latest run rebuilt."""
    return {
        row[0]
        for row in warehouse.query(
            f"select business_date from pipeline_state.rebuilt_dates where model_name = '{model}' "
            "qualify rebuild = max(rebuild) over ()"
        )
    }


def _day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


def _moment(day: int, seconds: int = 0) -> datetime:
    """UTC time of a local (Asia/Shanghai) day: 00:00 local plus some seconds."""
    return datetime(2023, 12, 31, 16) + timedelta(days=day, seconds=seconds)


def _event(event_id: str, day: int, seconds: int = 0, **columns: Any) -> dict[str, Any]:
    return {"event_id": event_id, "event_time": _moment(day, seconds), "event_name": "product_viewed", **columns}


def _order(order_id: str, day: int, gross: int, **columns: Any) -> dict[str, Any]:
    return {"order_id": order_id, "user_id": "u1", "order_time": _moment(day), "gross_amount": gross, **columns}


def _line(line_id: str, order_id: str) -> dict[str, Any]:
    return {"line_id": line_id, "order_id": order_id, "product_id": "p", "quantity": 1, "unit_price": 10}
