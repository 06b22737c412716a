"""From files to proposals: entities, mappings, questions, and what is left out."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from userops.errors import ConfigError, SourceFileError
from userops.onboard.propose import Wishes, propose_sources

START = datetime(2024, 1, 13, 10)


def csv_text(header: str, rows) -> str:
    return header + "\n" + "".join(",".join(str(cell) for cell in row) + "\n" for row in rows)


@pytest.fixture
def propose(tmp_path, settings):
    """Return a maker of one proposal from the text of a file."""

    def make(text: str, name: str = "export.csv", **wishes):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        (proposal,) = propose_sources([path], settings, Wishes(**wishes))
        return proposal

    return make


def values(proposal):
    return {line.key: line.value for line in proposal.columns}


def checks(proposal):
    return {line.key for line in proposal.columns if line.check}


ENTITIES = [
    (
        "events",
        "uid,device_id,ts,event,sid,page,price",
        [(f"u{n % 7}", f"d{n}", 1705140000 + n, "add_to_cart", n, "/p", n) for n in range(50)],
        {"user_id": "uid", "anonymous_id": "device_id", "event_time": {"column": "ts", "format": "epoch_s"}},
    ),
    (
        "events",
        "用户ID,事件时间,事件名称,设备类型",
        [(f"u{n % 7}", START + timedelta(hours=n), "浏览商品", "iOS") for n in range(50)],
        {"user_id": "用户ID", "event_time": "事件时间", "event_name": "事件名称", "device": "设备类型"},
    ),
    (
        "orders",
        "订单编号,客户编号,下单时间,订单金额,优惠金额,订单状态",
        [(f"20240113{n:06}", n % 9, START + timedelta(hours=n), "99.50", 5, "已支付") for n in range(50)],
        {"order_id": "订单编号", "user_id": "客户编号", "gross_amount": "订单金额", "discount_amount": "优惠金额"},
    ),
    (
        "orders",
        "id,customer_id,created_at,total,status",
        [(n, n % 9, START + timedelta(hours=n), n + 0.5, "paid") for n in range(50)],
        {"order_id": "id", "user_id": "customer_id", "order_time": "created_at", "gross_amount": "total"},
    ),
    (
        "order_items",
        "OrderNo,SKU,Qty,Unit Price,Order Date",
        [(n // 3, f"s{n}", 2, "9.90", "13/01/2024") for n in range(50)],
        {"order_id": "OrderNo", "product_id": "SKU", "quantity": "Qty", "unit_price": "Unit Price"},
    ),
    (
        "users",
        "会员ID,注册时间,性别,城市,生日",
        [(n, START, "女", "上海", "1990-01-05") for n in range(50)],
        {"user_id": "会员ID", "registered_at": "注册时间", "gender": "性别", "city": "城市", "birth_date": "生日"},
    ),
    (
        "products",
        "product_id,name,category,price",
        [(n, f"thing {n}", "things", 5) for n in range(50)],
        {"product_id": "product_id", "product_name": "name", "category": "category", "unit_price": "price"},
    ),
    (
        "feedback",
        "review_id,user_id,rating,review_time",
        [(n, n % 9, 5, START + timedelta(hours=n)) for n in range(50)],
        {"feedback_id": "review_id", "user_id": "user_id", "score": "rating", "feedback_time": "review_time"},
    ),
    (
        "campaign_touches",
        "campaign_id,customer_id,sent_at,channel,clicked,converted",
        [("c1", n, START, "sms", n % 2, 0) for n in range(50)],
        {"campaign_id": "campaign_id", "user_id": "customer_id", "touch_time": "sent_at", "channel": "channel"},
    ),
]


@pytest.mark.parametrize(("entity", "header", "rows", "mapped"), ENTITIES, ids=[f"{e[0]}: {e[1]}" for e in ENTITIES])
def test_entities_and_mappings(propose, entity, header, rows, mapped):
    proposal = propose(csv_text(header, rows))
    assert proposal.entity == entity
    found = values(proposal)
    assert {key: found.get(key) for key in mapped} == mapped
    assert not proposal.entity_check
    assert not checks(proposal)


def test_an_undecided_date_order_is_a_question(propose):
    proposal = propose(csv_text("uid,time,event", [(f"u{n}", "03/04/2024 10:00", "pay") for n in range(30)]))
    assert values(proposal)["event_time"] == {"column": "time", "format": "%d/%m/%Y %H:%M"}
    assert any("could also be %m/%d/%Y" in text for text in proposal.checks)


def test_times_without_an_offset_ask_for_their_zone(propose):
    naive = propose(csv_text("uid,time,event", [("u", "2024-01-05 10:00:00", "pay")] * 30))
    aware = propose(csv_text("uid,time,event", [("u", "2024-01-05T10:00:00Z", "pay")] * 30))
    assert "in which zone" in naive.timezone.check
    assert naive.timezone.value == "Europe/Paris"
    assert not aware.timezone.check


def test_personal_columns_are_ignored_and_never_mapped(propose):
    rows = [(n, "Ann", "ann@example.com", "13812345678", "女", START, "13812345678") for n in range(30)]
    proposal = propose(csv_text("user_id,name,email,手机号,性别,注册时间,contact_value", rows))
    assert dict(proposal.ignore) == {"name": "name", "email": "email", "手机号": "phone", "contact_value": "phone"}
    assert not {"name", "email", "手机号", "contact_value"} & {str(value) for value in values(proposal).values()}
    assert proposal.kept == []


def test_a_phone_number_as_user_id_becomes_a_digest(propose):
    rows = [(f"138{n:08}", START + timedelta(hours=n), "pay") for n in range(60)]
    proposal = propose(csv_text("user_id,time,event", rows))
    assert values(proposal)["user_id"] == {"expr": 'sha256(cast("user_id" as varchar))'}
    assert checks(proposal) == {"user_id"}


def test_what_is_not_mapped_is_kept(propose):
    proposal = propose(csv_text("uid,time,event,colour,size", [("u", START, "pay", "red", "L")] * 30))
    assert proposal.kept == ["colour", "size"]


def test_event_names_get_canonical_names(propose):
    rows = [("u", START, name) for name in ["add_to_cart"] * 5 + ["支付"] * 3 + ["page_viewed"] + ["Frobnicated"] * 2]
    proposal = propose(csv_text("uid,time,event", rows))
    assert proposal.event_names == [("add_to_cart", "cart_added", 5), ("支付", "order_paid", 3)]
    assert proposal.other_events == [("Frobnicated", 2), ("page_viewed", 1)]


def test_a_line_total_counts_as_one_piece(propose):
    rows = [(n // 3, f"s{n}", n % 4, "9.99", START) for n in range(50)]
    found = values(propose(csv_text("basket_id,sku,quantity,sales_value,order_time", rows)))
    assert found["unit_price"] == "sales_value"
    assert found["quantity"] == {"value": 1}


def test_no_user_column_proposes_the_likeliest_id_as_a_question(propose):
    rows = [(173000 + n // 3, "A_SUBMITTED", f"2024-01-05T10:00:00.{n:03}+02:00") for n in range(90)]
    proposal = propose(csv_text("application_id,activity,timestamp", rows))
    assert values(proposal)["user_id"] == "application_id"
    assert checks(proposal) == {"user_id"}


def test_a_campaign_file_of_flags(propose):
    rows = [("Mens E-Mail" if n % 2 else "No E-Mail", n % 2, 0, n) for n in range(60)]
    proposal = propose(csv_text("segment,visit,conversion,spend", rows), "hillstrom.csv")
    found = values(proposal)
    assert proposal.entity == "campaign_touches"
    assert found["campaign_id"] == {"value": "hillstrom"}
    assert found["variant"] == "segment"
    assert found["outcome"] == {
        "expr": "case when \"conversion\" = '1' then 'converted' when \"visit\" = '1' then 'visited' else 'none' end"
    }


def test_a_campaign_file_without_times_may_tell_of_the_customers_channel(propose):
    rows = [("Mens E-Mail" if n % 2 else "No E-Mail", ("Phone", "Web")[n % 2], n % 2, 0) for n in range(60)]
    proposal = propose(csv_text("segment,channel,visit,conversion", rows), "hillstrom.csv")
    assert values(proposal)["channel"] == "channel"
    assert any(check.startswith("columns.channel: the channel of the touch, or") for check in proposal.checks)
    timed = propose(csv_text("segment,channel,visit,conversion,sent_at", [(*row, START) for row in rows]), "t.csv")
    assert not any(check.startswith("columns.channel") for check in timed.checks)


def test_a_currency_sign_gives_the_currency(propose):
    rows = [(n, START, f"{n}.500,00 €") for n in range(1, 50)]
    path_text = "order_id;order_time;amount\n" + "".join(f"{a};{b};{c}\n" for a, b, c in rows)
    found = values(propose(path_text))
    assert found["currency"] == {"value": "EUR"}
    assert found["gross_amount"] == {"column": "amount", "decimal": ","}


def test_nested_json(propose):
    line = '{{"id": "e{n}", "user": {{"id": "u{n}", "phone": "1"}}, "time": {t}, "event": "pay", "properties": {p}}}\n'
    text = "".join(
        line.format(n=n, t=1705140000000 + n, p='{"amount": 5, "email": "a@b.cn", "city": "Rome"}') for n in range(40)
    )
    proposal = propose(text, "e.jsonl")
    found = values(proposal)
    assert found["user_id"] == {"path": "$.user.id"}
    assert found["value"] == {"path": "$.properties.amount"}
    assert found["properties"] == {"expr": """json_merge_patch("properties", '{"email": null}')"""}
    assert [name for name, _ in proposal.ignore] == ["user"]  # it holds a phone number


def test_files_of_different_columns_are_different_sources(tmp_path, settings):
    old, new = tmp_path / "sales_2023.csv", tmp_path / "sales_2024.csv"
    old.write_text(csv_text("Invoice,StockCode,Quantity,Price,InvoiceDate", [(1, "a", 1, "2.5", START)] * 20))
    new.write_text(csv_text("InvoiceNo,StockCode,Quantity,UnitPrice,InvoiceDate", [(1, "a", 1, "2.5", START)] * 20))
    first, second = propose_sources([old, new], settings, Wishes())
    assert first.source != second.source
    assert (first.placement.pattern, second.placement.pattern) == ("sales_2023.csv", "sales_2024.csv")
    assert (values(first)["unit_price"], values(second)["unit_price"]) == ("Price", "UnitPrice")


def test_files_of_the_same_columns_are_one_source(tmp_path, settings):
    files = []
    for day in ("2024-01-05", "2024-01-06"):
        files.append(tmp_path / f"events-{day}.csv")
        files[-1].write_text(csv_text("uid,time,event", [("u", f"{day} 10:00:00", f"e{day[-1]}")] * 20))
    (proposal,) = propose_sources(files, settings, Wishes())
    assert proposal.placement.pattern == "events-*.csv"
    assert {name for name, _ in proposal.other_events} == {"e5", "e6"}


def test_columns_that_make_no_entity(propose):
    with pytest.raises(SourceFileError, match=r"colour, size, which make no entity.*--entity"):
        propose(csv_text("colour,size", [("red", "L")] * 10))


def test_told_which_entity_the_missing_columns_are_questions(propose):
    proposal = propose(csv_text("colour,size,when", [("red", "L", "2024-01-05")] * 10), entity="events")
    assert proposal.entity == "events"
    assert values(proposal)["event_time"] == "when"
    assert values(proposal)["event_name"] == {"expr": "null"}
    assert "event_name" in checks(proposal)


def test_an_unknown_entity(propose):
    with pytest.raises(ConfigError, match="`evnts`"):
        propose("a,b\n1,2\n", entity="evnts")
