"""Every preset against a small export of the documented shape, through the real ingest."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import date
from hashlib import sha256
from typing import Any

import duckdb
import pytest

from userops.config import Settings
from userops.ingest.runner import load_staged, reconciliation, stage_landing
from userops.ingest.sources import load_preset, preset_names
from userops.steps import StepContext

TESTED = {
    "ga4_events", "segment_tracks", "sensors_events", "sensors_users", "sensors_links", "shopify_orders",
    "shopify_order_items", "log3",
}  # fmt: skip


@pytest.fixture
def ingest(instance: Callable[..., Settings]) -> Callable[..., list[dict[str, Any]]]:
    """Return a function: preset and content of a file in, canonical rows out; the accounts are in `ingest.accounts`."""

    def run(preset: str, content: str, columns: str, extra: str = "") -> list[dict[str, Any]]:
        settings = instance("project: {timezone: UTC, currency: EUR}\n")
        (settings.paths.sources / "export.yml").write_text(
            f"source: export\npreset: {preset}\nfiles: {{path: export, pattern: '*.txt'}}\n{extra}", encoding="utf-8"
        )
        folder = settings.paths.landing / "export"
        folder.mkdir(parents=True)
        (folder / "export.txt").write_text(content, encoding="utf-8")
        context = StepContext(settings, date(2026, 1, 31))
        stage_landing(context)
        load_staged(context)
        (batch,) = reconciliation(settings)
        run.accounts = (batch.rows_read, batch.rows_loaded, batch.rows_quarantined, batch.rows_filtered)  # type: ignore[attr-defined]
        assert batch.rows_quarantined == 0, quarantined(settings)
        return lake(settings, str(load_preset(preset)["entity"]), columns)

    return run


def lake(settings: Settings, entity: str, columns: str) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        files = str(settings.paths.raw / entity / "*" / "*.parquet")
        cursor = connection.execute(f"select {columns} from read_parquet('{files}') order by _row_number")
        names = [item[0] for item in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def quarantined(settings: Settings) -> list[tuple[Any, ...]]:
    files = str(settings.paths.quarantine / "*" / "*.parquet")
    return duckdb.sql(f"select reason_code, column_name, found, raw from '{files}'").fetchall()


def json_lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def text_of(row: dict[str, Any], key: str) -> str:
    return str(row[key])


def test_every_preset_is_tested():
    assert set(preset_names()) == TESTED


def ga4(name: str, params: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """One row of events_YYYYMMDD as BigQuery writes it to JSON: 64-bit numbers are texts."""
    kinds = {int: "int_value", str: "string_value", float: "double_value"}
    entries = [
        {"key": key, "value": {kinds[type(value)]: str(value) if isinstance(value, int) else value}}
        for key, value in params.items()
    ]
    return {
        "event_date": "20260115",
        "event_timestamp": "1768472730123456",
        "event_name": name,
        "event_params": entries,
        "event_previous_timestamp": None,
        "user_pseudo_id": "1234567890.1768000000",
        "privacy_info": {"ads_storage": "Yes"},
        "user_properties": [],
        "device": {"category": "mobile", "mobile_brand_name": "Apple"},
        "geo": {"country": "France", "city": "Lyon"},
        "traffic_source": {"name": "(direct)", "medium": "organic", "source": "google"},
        "stream_id": "77",
        "platform": "WEB",
        "items": [],
        **fields,
    }


def test_ga4_events(ingest):
    rows = ingest(
        "ga4_events",
        json_lines(
            ga4("page_view", {"ga_session_id": 1768472700, "page_location": "https://shop.example/a"}),
            ga4(
                "purchase", {"ga_session_id": 1768472700, "currency": "EUR", "value": 12.5},
                user_id="u1", ecommerce={"purchase_revenue": 12.5, "transaction_id": "T1"},
                items=[{"item_id": "SKU1", "item_category": "toys"}],
            ),
            ga4("first_visit", {}),
        ),
        "user_id, anonymous_id, event_time::varchar as at, event_name, session_id, channel, device, page, object_id, "
        "object_category, value, currency, properties",
    )  # fmt: skip
    view, purchase, visit = rows
    assert (view["event_name"], view["page"]) == ("page_viewed", "https://shop.example/a")
    assert (view["user_id"], view["anonymous_id"]) == (None, "1234567890.1768000000")
    assert view["at"] == "2026-01-15 10:25:30.123456"
    assert view["session_id"] == "1234567890.1768000000.1768472700"
    assert (view["channel"], view["device"]) == ("organic", "mobile")
    assert (purchase["event_name"], purchase["user_id"], text_of(purchase, "value")) == ("order_paid", "u1", "12.5000")
    assert (purchase["currency"], purchase["object_id"], purchase["object_category"]) == ("EUR", "SKU1", "toys")
    assert visit["session_id"] is None
    kept = json.loads(purchase["properties"])
    assert kept["value"] == "12.5"
    assert kept["geo"] == {"country": "France", "city": "Lyon"}
    assert not {"privacy_info", "event_date", "device"} & set(kept)


def segment(kind: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "messageId": f"m-{kind}-{fields.get('event', '')}",
        "anonymousId": "a1",
        "userId": None,
        "timestamp": "2026-01-15T10:25:30.123Z",
        "context": {"ip": "8.8.8.8", "page": {"url": "https://shop.example/p"}, "campaign": {"source": "newsletter"}},
        "integrations": {},
        **fields,
    }


def test_segment_tracks(ingest):
    rows = ingest(
        "segment_tracks",
        json_lines(
            segment("page", name="Home", properties={"url": "https://shop.example/home"}),
            segment(
                "track", event="Order Completed", userId="u1",
                properties={"revenue": 25, "currency": "USD", "product_id": "SKU1", "email": "ann@example.com"},
            ),
            segment("track", event="Button Pressed", properties={}),
            segment("identify", userId="u1", traits={"email": "ann@example.com", "name": "Ann"}),
        ),
        "event_id, user_id, anonymous_id, event_time::varchar as at, event_name, channel, page, object_id, value, "
        "currency, properties",
    )  # fmt: skip
    assert ingest.accounts == (4, 3, 0, 1)
    page, order, button = rows
    assert (page["event_name"], page["page"], page["channel"]) == (
        "page_viewed",
        "https://shop.example/p",
        "newsletter",
    )
    assert (order["event_name"], order["user_id"], order["object_id"]) == ("order_paid", "u1", "SKU1")
    assert (text_of(order, "value"), order["currency"], order["at"]) == ("25.0000", "USD", "2026-01-15 10:25:30.123")
    assert button["event_name"] == "Button Pressed"
    assert "ann@example.com" not in str(rows)
    assert "8.8.8.8" not in str(rows)


def sensors(kind: str, properties: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": kind, "time": 1768472730123, "project": "shop", "properties": properties, **fields}


SENSORS = json_lines(
    sensors("track", {"$os": "iOS", "$ip": "8.8.8.8", "$url": "https://x/"}, distinct_id="d1", event="$pageview"),
    sensors("track", {"$is_login_id": True, "product_id": 9}, distinct_id="u1", event="ViewProduct"),
    sensors("track", {}, distinct_id="u1", login_id="u1", anonymous_id="d1", event="充值"),
    sensors("track_signup", {"$ip": "8.8.8.8"}, distinct_id="u1", original_id="d1", event="$SignUp"),
    sensors("profile_set", {"$is_login_id": True, "$city": "长沙", "$province": "湖南", "gender": "女",
                            "$signup_time": "2026-01-01 08:00:00", "phone": "13812345678", "vip": 3}, distinct_id="u1"),
    sensors("profile_set", {"$city": "长沙"}, distinct_id="d2"),
)  # fmt: skip


def test_sensors_events(ingest):
    rows = ingest(
        "sensors_events",
        SENSORS,
        "user_id, anonymous_id, event_time::varchar as at, event_name, device, page, object_id, properties",
    )
    assert ingest.accounts == (6, 4, 0, 2)
    assert [(row["user_id"], row["anonymous_id"], row["event_name"]) for row in rows] == [
        (None, "d1", "page_viewed"),
        ("u1", None, "product_viewed"),
        ("u1", "d1", "充值"),
        ("u1", "d1", "logged_in"),
    ]
    assert rows[0]["at"] == "2026-01-15 10:25:30.123"
    assert (rows[0]["device"], rows[0]["page"], rows[1]["object_id"]) == ("iOS", "https://x/", "9")
    assert "8.8.8.8" not in str(rows)


def test_sensors_users(ingest):
    rows = ingest(
        "sensors_users",
        SENSORS,
        "user_id, registered_at::varchar as registered, gender, region, city, updated_at::varchar as updated, "
        "properties",
    )
    assert ingest.accounts == (6, 1, 0, 5)
    (user,) = rows
    assert (user["user_id"], user["gender"], user["region"], user["city"]) == ("u1", "女", "湖南", "长沙")
    assert user["registered"] == "2026-01-01 00:00:00"  # China, in UTC
    assert user["updated"] == "2026-01-15 10:25:30.123"
    assert json.loads(user["properties"])["vip"] == 3
    assert "13812345678" not in str(user)


def test_sensors_links(ingest):
    rows = ingest("sensors_links", SENSORS, "anonymous_id, linked_user_id, link_time::varchar as at")
    assert ingest.accounts == (6, 1, 0, 5)
    assert rows == [{"anonymous_id": "d1", "linked_user_id": "u1", "at": "2026-01-15 10:25:30.123"}]


SHOPIFY_COLUMNS = [
    "Name", "Email", "Financial Status", "Paid at", "Fulfillment Status", "Fulfilled at",
    "Accepts Marketing",
    "Currency", "Subtotal", "Shipping", "Taxes", "Total", "Discount Code", "Discount Amount", "Shipping Method",
    "Created at",
    "Lineitem quantity", "Lineitem name", "Lineitem price", "Lineitem compare at price", "Lineitem sku",
    "Lineitem requires shipping", "Lineitem taxable", "Lineitem fulfillment status", "Billing Name", "Billing Street",
    "Billing City", "Billing Phone", "Cancelled at", "Payment Method", "Refunded Amount", "Vendor", "Id", "Source",
    "Lineitem discount",
]  # fmt: skip


def shopify(*rows: dict[str, str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, SHOPIFY_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


PAID = "2026-01-15 11:25:30 +0100"
SHOPIFY = shopify(
    {"Name": "#1001", "Email": "Ann@Example.com", "Financial Status": "paid", "Paid at": "2026-01-15 11:26:00 +0100",
     "Currency": "EUR", "Subtotal": "90.00", "Total": "98.00", "Discount Code": "HELLO", "Discount Amount": "10.00",
     "Created at": PAID, "Lineitem quantity": "2", "Lineitem name": "Bear", "Lineitem price": "40.00",
     "Lineitem sku": "B1", "Billing Name": "Ann Lee", "Billing Phone": "+33 1 23 45 67 89", "Refunded Amount": "0.00",
     "Id": "5551", "Source": "web", "Lineitem discount": "0.00"},
    {"Name": "#1001", "Email": "Ann@Example.com", "Created at": PAID, "Lineitem quantity": "1",
     "Lineitem name": "Gift wrap", "Lineitem price": "20.00", "Lineitem discount": "0.00"},
    {"Name": "#1002", "Email": "", "Financial Status": "refunded", "Currency": "EUR", "Subtotal": "5.00",
     "Discount Amount": "0.00", "Created at": PAID, "Lineitem quantity": "1", "Lineitem name": "Pen",
     "Lineitem price": "5.00", "Lineitem sku": "P1", "Refunded Amount": "5.00", "Id": "5552", "Source": "pos"},
    {"Name": "#1003", "Email": "ann@example.com", "Financial Status": "voided", "Currency": "EUR", "Subtotal": "5.00",
     "Discount Amount": "0.00", "Created at": PAID, "Cancelled at": "2026-01-16 09:00:00 +0100",
     "Lineitem quantity": "1", "Lineitem name": "Pen", "Lineitem price": "5.00", "Lineitem sku": "P1",
     "Refunded Amount": "0.00", "Id": "5553"},
)  # fmt: skip
ANN = sha256(b"ann@example.com").hexdigest()


def test_shopify_orders(ingest):
    rows = ingest(
        "shopify_orders",
        SHOPIFY,
        "order_id, user_id, order_time::varchar as at, status, gross_amount, discount_amount, refund_amount, currency, "
        "channel, coupon_code, updated_at::varchar as updated, properties",
    )
    assert ingest.accounts == (4, 3, 0, 1)
    first, refunded, cancelled = rows
    assert (first["order_id"], first["user_id"], first["at"]) == ("#1001", ANN, "2026-01-15 10:25:30")
    assert (text_of(first, "gross_amount"), text_of(first, "discount_amount")) == ("100.0000", "10.0000")
    assert (first["coupon_code"], first["channel"], first["currency"]) == ("HELLO", "web", "EUR")
    assert first["updated"] == "2026-01-15 10:26:00"
    assert (refunded["status"], text_of(refunded, "refund_amount"), refunded["user_id"]) == ("refunded", "5.0000", None)
    assert refunded["updated"] == "2026-01-15 10:25:32"  # newer than the version before the refund
    assert (cancelled["status"], cancelled["user_id"]) == ("cancelled", ANN)
    assert cancelled["updated"] == "2026-01-16 08:00:00"
    assert json.loads(first["properties"])["Id"] == "5551"
    assert not [value for value in ("Ann@Example.com", "Ann Lee", "+33 1 23") if value in str(rows)]


def test_shopify_order_items(ingest):
    rows = ingest(
        "shopify_order_items",
        SHOPIFY,
        "order_id, product_id, product_name, quantity, unit_price, user_id, order_time::varchar as at, properties",
        extra="columns: {currency: {value: EUR}}\n",
    )
    assert ingest.accounts == (4, 4, 0, 0)
    assert [(row["order_id"], row["product_id"], text_of(row, "quantity")) for row in rows] == [
        ("#1001", "B1", "2.0000"),
        ("#1001", "Gift wrap", "1.0000"),
        ("#1002", "P1", "1.0000"),
        ("#1003", "P1", "1.0000"),
    ]
    assert (rows[1]["user_id"], rows[1]["at"], text_of(rows[1], "unit_price")) == (
        ANN,
        "2026-01-15 10:25:30",
        "20.0000",
    )
    assert not [value for value in ("Ann@Example.com", "Ann Lee", "+33 1 23") if value in str(rows)]


def test_log3(ingest):
    rows = ingest(
        "log3",
        "u1\t2026-01-15 10:25:30\tview\nu2\t2026-01-15T10:25:31+08:00\tpay\n",
        "user_id, event_time::varchar as at, event_name",
        extra='format: {delimiter: "\\t"}\n',
    )
    assert rows == [
        {"user_id": "u1", "at": "2026-01-15 10:25:30", "event_name": "view"},
        {"user_id": "u2", "at": "2026-01-15 02:25:31", "event_name": "pay"},
    ]
