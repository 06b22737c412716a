"""Personal data by name and by value: what must be caught, and what must not be."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.pii import MASK, detect_personal_values, looks_personal_name, mask_json, mask_text, mask_value


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("phone", "phone"),
        ("customer_phone_no", "phone"),
        ("userMobile", "phone"),
        ("Billing Phone", "phone"),
        ("手机号", "phone"),
        ("收货人电话", "phone"),
        ("email", "email"),
        ("E-Mail Address", "email"),
        ("contactEmail", "email"),
        ("电子邮箱", "email"),
        ("name", "name"),
        ("First Name", "name"),
        ("Shipping Name", "name"),
        ("user_name", "name"),
        ("客户姓名", "name"),
        ("收货人", "name"),
        ("昵称", "name"),
        ("身份证号", "id_number"),
        ("passport_no", "id_number"),
        ("shippingAddress1", "address"),
        ("Billing Street", "address"),
        ("收货地址", "address"),
        ("$ip", "ip_address"),
        ("IP地址", "ip_address"),
        ("银行卡号", "bank_card"),
        ("password", "secret"),
        ("$latitude", "location"),
        ("$.user.phone", "phone"),
        ("billing.lastName", "name"),
    ],
)
def test_personal_names(name, kind):
    assert looks_personal_name(name) == kind


@pytest.mark.parametrize(
    "name",
    [
        "user_id", "customer_id", "客户编号", "用户ID", "product_name", "event_name", "campaign_name",
        "screen_name", "mobile_brand_name", "mobile_marketing_name", "手机型号", "手机品牌", "phone_model",
        "consent_email", "email_ok", "邮箱验证时间", "是否绑定手机", "page_address_type", "city", "省份",
        "zip_code", "gender", "birth_date", "ship_date", "shipping_amount", "delivery_time", "微信支付",
        "下单时间", "订单编号", "client_type", "category", "description", "",
    ],
)  # fmt: skip
def test_other_names(name):
    assert looks_personal_name(name) is None


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["13812345678", "15900001111"], "phone"),
        (["+86 138 1234 5678", "008613812345678"], "phone"),
        (["13812345678.0"], "phone"),  # a float column
        (["+44 20 7946 0958", "+1 415-555-2671"], "phone"),
        (["(415) 555-2671", "415-555-2671"], "phone"),
        (["ann@example.com", "", "bob@example.org"], "email"),
        (["please write to ann@example.com", *["fine"] * 50], "email"),
        (["11010519491231002X", "440524188001010014"], "id_number"),
        (["192.168.1.10", "8.8.8.8"], "ip_address"),
        (
            ["4111111111111111", "5500005555555559", "4012888888881881", "4222222222222220", "4000056655665556"],
            "bank_card",
        ),
    ],
)
def test_personal_values(values, kind):
    assert detect_personal_values(values) == kind


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["", "  "],
        ["13085.0", "17850.0"],
        ["2024-01-01", "2024-01-02"],
        ["1700000000", "1700000060"],
        ["1700000000123"],
        ["489434", "C489449"],
        ["110105194912310021"],  # the check digit of an ID number is wrong
        ["990105194913310021"],  # and this one's date
        ["31242648741", "31198500220", "9999999999999999"],
        ["1.2.3", "10.0.1"],
        ["user@", "@home"],
    ],
)
def test_other_values(values):
    assert detect_personal_values(values) is None


def test_a_few_phone_numbers_among_ids_do_not_make_a_column_personal():
    assert detect_personal_values(["13812345678", *(str(number) for number in range(100))]) is None


def test_text_is_masked_where_it_is_personal_only():
    text = "call 13812345678 or +44 20 7946 0958, mail ann@example.com, id 11010519491231002X, order 4711"
    assert mask_text(text) == f"call {MASK} or {MASK}, mail {MASK}, id {MASK}, order 4711"


def test_objects_are_masked_all_the_way_down():
    row = {"order": 7, "Phone": "123", "buyer": {"姓名": "王芳", "note": "13812345678", "tags": ["a@b.cn", "x"]}}
    assert json.loads(mask_json(json.dumps(row))) == {
        "order": 7,
        "Phone": MASK,
        "buyer": {"姓名": MASK, "note": MASK, "tags": [MASK, "x"]},
    }


def test_a_number_that_is_a_phone_number_is_masked():
    assert mask_value("contact_value", 13812345678) == MASK
    assert mask_value("amount", 12.5) == 12.5
    assert mask_value("anything", None) is None


@given(st.integers(min_value=13_000_000_000, max_value=19_999_999_999))
def test_no_chinese_mobile_number_is_shown(number):
    assert str(number) not in mask_text(f"tel:{number};")


@given(st.text(max_size=40))
def test_any_name_can_be_asked_about(name):
    assert looks_personal_name(name) is None or isinstance(looks_personal_name(name), str)
