"""BG/NBD: the figures of the published CDNOW example, and parameters and futures of users whose truth is known."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from models_ml.churn.bgnbd import BgNbd, fit_bgnbd, log_likelihood
from models_ml.churn.rhythms import Rhythms, fit_rhythms

#: Parameters of the CDNOW sample (weeks): Fader, Hardie and Lee (2005), table 1.
CDNOW = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)
TRUTH = BgNbd(r=0.6, alpha=12.0, a=0.8, b=2.5)


def _array(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def _users(count: int, days: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return x, t_x, T of users drawn from TRUTH, and their returns in the `days` after T."""
    generator = np.random.default_rng(7)
    age = generator.integers(50, 300, count).astype(np.float64)
    repeats, recency, later = np.zeros(count), np.zeros(count), np.zeros(count)
    for user in range(count):
        rate, leaves = generator.gamma(TRUTH.r, 1 / TRUTH.alpha), generator.beta(TRUTH.a, TRUTH.b)
        now = generator.exponential(1 / rate)
        while now <= age[user] + days:
            if now <= age[user]:
                repeats[user], recency[user] = repeats[user] + 1, now
            else:
                later[user] += 1
            if generator.random() < leaves:
                break
            now += generator.exponential(1 / rate)
    return repeats, recency, age, later


def test_the_published_customer_is_expected_to_return_as_published() -> None:
    # "Implementing the BG/NBD Model for Customer Base Analysis in Excel" (2005): x = 2, t_x = 30.43, T = 38.86.
    expected = CDNOW.expected_returns(_array(2), _array(30.43), _array(38.86), 39.0)
    assert expected[0] == pytest.approx(1.226, abs=5e-4)


def test_who_never_returned_is_alive_and_silence_after_many_returns_is_not() -> None:
    assert CDNOW.probability_alive(_array(0), _array(0), _array(38.86))[0] == 1.0
    recent, long_gone = CDNOW.probability_alive(_array(20, 20), _array(38, 10), _array(38.86, 38.86))
    assert recent > 0.9
    assert long_gone < 0.01


def test_the_likelihood_is_that_of_the_paper() -> None:
    # x = 0: the chance of no return in T is (alpha / (alpha + T)) ** r.
    parameters = (CDNOW.r, CDNOW.alpha, CDNOW.a, CDNOW.b)
    assert log_likelihood(*parameters, _array(0), _array(0), _array(10))[0] == pytest.approx(
        CDNOW.r * np.log(CDNOW.alpha / (CDNOW.alpha + 10))
    )


def test_known_parameters_and_futures_are_found_again() -> None:
    repeats, recency, age, later = _users(6_000, days=30.0)
    fitted = fit_bgnbd(repeats, recency, age, np.ones(len(age)))
    assert fitted is not None
    found = np.array([fitted.r, fitted.alpha, fitted.a / (fitted.a + fitted.b)])
    truth = np.array([TRUTH.r, TRUTH.alpha, TRUTH.a / (TRUTH.a + TRUTH.b)])
    assert np.all(np.abs(found / truth - 1) < 0.15)
    absent = fitted.probability_absent(repeats, recency, age, 30.0)
    expected = fitted.expected_returns(repeats, recency, age, 30.0)
    for low, high in ((0.0, 0.5), (0.5, 0.85), (0.85, 1.0)):
        rows = (absent >= low) & (absent < high)
        assert absent[rows].mean() == pytest.approx((later[rows] == 0).mean(), abs=0.03)
        assert expected[rows].mean() == pytest.approx(later[rows].mean(), rel=0.15)


def test_equal_histories_may_be_given_once_with_their_number() -> None:
    repeats, recency, age, _ = _users(400, days=0.0)
    recency = np.floor(recency)
    each = fit_bgnbd(repeats, recency, age, np.ones(400))
    histories, counts = np.unique(np.column_stack([repeats, recency, age]), axis=0, return_counts=True)
    counted = fit_bgnbd(*histories.T, counts.astype(np.float64))  # type: ignore[misc]
    assert each is not None
    assert counted is not None
    assert list(counted.to_json().values()) == pytest.approx(list(each.to_json().values()), rel=1e-3)


def test_a_handful_of_users_has_no_model() -> None:
    assert fit_bgnbd(_array(1, 2), _array(3, 4), _array(9, 9), _array(10, 10)) is None


def test_each_date_is_fitted_on_its_own_histories_and_orders_alone_are_no_second_model() -> None:
    repeats, recency, age, _ = _users(500, days=0.0)
    histories = np.column_stack([repeats, np.floor(recency), age, np.ones(500)])
    first, second = date(2024, 1, 1), date(2024, 2, 1)
    known = {
        (first, "active_days"): histories[:250], (first, "order_days"): histories[:250],
        (second, "active_days"): histories, (second, "order_days"): histories[:200],
    }  # fmt: skip
    fitted = fit_rhythms(known, [second, first], 30)
    assert fitted[first].order_days is None
    assert fitted[second].order_days is not None
    alone = fit_rhythms({key: value for key, value in known.items() if key[0] == first}, [first], 30)
    assert alone[first] == fitted[first], "a later date must not show in an earlier one"
    assert Rhythms.from_json(fitted[second].to_json()) == fitted[second]
