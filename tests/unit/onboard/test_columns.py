"""What a column is, from its name and its values."""

from __future__ import annotations

import pytest

from userops.onboard.columns import profile_table
from userops.onboard.tables import Table
from userops.pii import MASK


def profile(values, name="column", native=None):
    table = Table({"type": "csv"}, [name], [[value] for value in values], native={name: native} if native else {})
    return profile_table(table)[0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2"], "integer"),
        (["12345678901234567890"], "integer"),
        (["13085.0", "17850.0"], "float_id"),
        (["1.5", "-2", "1e3"], "number"),
        (["1,234.50", "¥12.00"], "amount"),
        (["(12.50)", "12.50-"], "amount"),
        (["true", "false"], "flag"),
        (["是", "否"], "flag"),
        (["2024-01-05", "2024-01-06"], "time"),
        (["1700000000", "1700000060"], "integer"),  # could be an epoch: the name decides
        (["abc"], "text"),
        ([None, None], "empty"),
    ],
)
def test_kinds(values, kind):
    assert profile(values).kind == kind


@pytest.mark.parametrize(
    ("values", "decimal", "currency", "sure"),
    [
        (["1.234,50 €", "2,00 €"], ",", "EUR", True),
        (["12,5", "13,75", "1.000"], ",", None, False),
        (["$1,234.50", "$2.00"], None, "USD", False),
        (["¥12.00", "¥1,300.00"], None, "CNY", False),
        (["USD 12.50", "USD 1,300"], None, "USD", True),
    ],
)
def test_amounts(values, decimal, currency, sure):
    found = profile(values)
    assert (found.kind, found.decimal, found.currency, found.currency_sure) == ("amount", decimal, currency, sure)
    assert not found.decimal_check


def test_a_group_of_three_digits_could_be_decimals():
    assert "could be thousands" in profile(["1,234", "5,678"]).decimal_check


def test_shares_and_distinct_values():
    found = profile(["a", "a", "b", None])
    assert (found.filled, found.distinct, found.repeats, found.unique) == (0.75, 2, 1.5, False)
    assert profile(["a", "b", None]).unique


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("tel", ["010-1234567"], "phone"),
        ("contact_value", ["13812345678", "15900001111"], "phone"),
        ("登记号码", ["11010519491231002X"], "id_number"),
        ("comment", ["write to ann@example.com"], "email"),
    ],
)
def test_personal_values_are_never_examples(name, values, kind):
    found = profile(values, name)
    assert found.personal == kind
    assert found.examples == (MASK,)
    assert found.all_values == ()
    assert not any(value in repr(found) for value in values)


def test_a_stray_address_in_an_example_is_masked():
    found = profile([*["fine"] * 199, "ann@example.com"] + [f"text {n}" for n in range(300)])
    assert found.personal is None
    assert "ann@example.com" not in "".join(found.examples)
