"""Time formats by evidence."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.onboard.times import guess_time


@pytest.mark.parametrize(
    ("values", "format_", "offset"),
    [
        (["2024-01-05", "2024-12-31"], None, False),
        (["2024-01-05 10:00:00"], None, False),
        (["2024/1/5 9:05"], None, False),
        (["2024-01-05T10:00:00Z", "2024-01-05T10:00:00.123+08:00"], None, True),
        (["2024-01-05 10:00:00 +0800"], None, True),
        (["20240105", "20241231"], "%Y%m%d", False),
        (["20240105101112"], "%Y%m%d%H%M%S", False),
        (["13/04/2024 10:00", "03/04/2024 11:30"], "%d/%m/%Y %H:%M", False),
        (["04/13/2024", "04/03/2024"], "%m/%d/%Y", False),
        (["4/13/24 9:05 PM"], "%m/%d/%y %I:%M %p", False),
        (["31.12.2024 23:59:59"], "%d.%m.%Y %H:%M:%S", False),
        (["2024年1月5日", "2024年12月31日"], "%Y年%m月%d日", False),
        (["05-Oct-2024", "17-Nov-2024"], "%d-%b-%Y", False),
        (["10/Oct/2000:13:55:36 -0700"], "%d/%b/%Y:%H:%M:%S %z", True),
        (["1700000000", "1700000060"], "epoch_s", True),
        (["1700000000123"], "epoch_ms", True),
        (["1700000000123456"], "epoch_us", True),
        (["1700000000123456789"], "epoch_ns", True),
    ],
)
def test_formats(values, format_, offset):
    guess = guess_time(values)
    assert guess is not None
    assert (guess.format, guess.offset, guess.check) == (format_, offset, "")


@pytest.mark.parametrize("values", [["abc"], ["12345"], ["13085.0"], ["20241399"], ["12345678901"], ["1.5"], []])
def test_other_values_are_no_times(values):
    assert guess_time(values) is None


def test_an_epoch_could_be_an_id():
    guess = guess_time(["1700000000"])
    assert guess is not None
    assert not guess.sure


def test_the_order_of_day_and_month_is_asked_where_nothing_decides_it():
    values = ["03/04/2024", "05/06/2024"]
    world, america = guess_time(values), guess_time(values, us_dates=True)
    assert world is not None
    assert america is not None
    assert (world.format, america.format) == ("%d/%m/%Y", "%m/%d/%Y")
    assert "could also be %m/%d/%Y" in world.check
    assert "could also be %d/%m/%Y" in america.check


def test_both_orders_in_one_column_are_told():
    guess = guess_time(["13/04/2024", "04/14/2024"])
    assert guess is not None
    assert "two formats in one column" in guess.check


@given(
    st.lists(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2035, 1, 1)), min_size=1, max_size=20),
    st.sampled_from(["%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S"]),
)
def test_evidence_is_never_overruled(times, format_):
    """Either the format is the true one, or the guess says that it is one."""
    guess = guess_time([time.strftime(format_) for time in times])
    assert guess is not None
    assert guess.format == format_ or guess.check
