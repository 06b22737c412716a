"""Text made of arrays, against Python's own formatting."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from userops.simulate.arrays import Field, LineLayout, digits, glue, money, squeeze, table, to_text


@given(st.lists(st.integers(0, 10**12 - 1), min_size=1, max_size=20))
def test_money_reads_as_python_writes_it(cents: list[int]) -> None:
    assert squeeze(money(np.array(cents))) == [f"{value // 100}.{value % 100:02d}" for value in cents]


@given(st.lists(st.integers(0, 10**7 - 1), min_size=1, max_size=20))
def test_digits_are_zero_padded(values: list[int]) -> None:
    assert squeeze(digits(np.array(values), 7)) == [f"{value:07d}" for value in values]


def test_lines_keep_their_order_and_lose_only_padding() -> None:
    layout = LineLayout([b"<", Field("name", 12), b":", Field("cents", 13), b">\n"])
    rows = layout.rows(2)
    rows["name"] = table(["甲省", "a"])
    rows["cents"] = money(np.array([5, 123_456]))
    assert to_text(rows).decode() == "<甲省:0.05>\n<a:1234.56>\n"
    assert layout.offset("cents") == 14


def test_glue_joins_row_by_row() -> None:
    assert squeeze(glue(b"U", digits(np.array([7, 8]), 2), b"-", table(["x", "yz"]))) == ["U07-x", "U08-yz"]
