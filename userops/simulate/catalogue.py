"""The shop: what it sells, where its visitors come from, and how people of each kind behave.

All names are invented on purpose (甲省, 示例商品): nobody shall mistake an export for real data.
"""

from __future__ import annotations

import numpy as np

from userops.simulate.arrays import Floats, Ints

CATEGORIES = ("grocery", "home", "beauty", "baby", "books", "sports", "fashion", "electronics")
CATEGORIES_ZH = ("食品", "家居", "美妆", "母婴", "图书", "运动", "服饰", "数码")
#: How much faster a user who mostly buys this category drops out.
CATEGORY_HAZARD = np.array([0.65, 0.9, 0.95, 0.8, 0.9, 1.1, 1.2, 1.5])
CATEGORY_SHARE = np.array([0.22, 0.14, 0.14, 0.09, 0.09, 0.08, 0.14, 0.10])
#: Typical price of one piece, in hundredths of CNY.
CATEGORY_PRICE = np.array([2_900, 8_900, 12_900, 15_900, 4_500, 19_900, 16_900, 89_900])
PRODUCTS_PER_CATEGORY = 60
SELLERS = 80

SOURCE_CHANNELS = ("organic", "referral", "search_ad", "social", "kol", "offline")
SOURCE_SHARE = np.array([0.30, 0.14, 0.18, 0.20, 0.10, 0.08])
#: How much faster a user won through this channel drops out.
SOURCE_HAZARD = np.array([0.85, 0.6, 1.15, 1.45, 1.6, 0.9])

VISIT_CHANNELS = ("direct", "organic_search", "search_ad", "social", "push", "email", "mini_program")
VISIT_SHARE = np.array([0.34, 0.18, 0.10, 0.14, 0.12, 0.05, 0.07])

DEVICES = ("android", "ios", "web", "mini_program")
DEVICE_SHARE = np.array([0.38, 0.30, 0.17, 0.15])

PROVINCES = tuple(f"{stem}省" for stem in "甲乙丙丁戊己庚辛壬癸")
CITIES_PER_PROVINCE = 4
CITIES = tuple(f"{province}{number}市" for province in PROVINCES for number in "一二三四")

COUPON_PERCENT = np.array([5, 10, 15, 20])
COUPON_SHARE = np.array([0.35, 0.35, 0.2, 0.1])

#: Visits by weekday, Monday first; their mean is 1.
WEEKDAY_VISITS = np.array([0.92, 0.88, 0.90, 0.93, 1.02, 1.20, 1.15])
_HOURS_WORKDAY = (2, 1, 1, 1, 1, 2, 4, 7, 9, 9, 9, 10, 14, 12, 8, 8, 8, 9, 12, 16, 20, 22, 17, 8)
_HOURS_WEEKEND = (4, 2, 1, 1, 1, 1, 2, 4, 8, 12, 15, 15, 14, 14, 15, 15, 14, 13, 13, 16, 19, 20, 16, 9)


def product_prices(rng: np.random.Generator) -> Ints:
    """Return one price per product in hundredths of CNY; product p belongs to category p // PRODUCTS_PER_CATEGORY."""
    typical = np.repeat(CATEGORY_PRICE, PRODUCTS_PER_CATEGORY)
    spread = np.exp(rng.normal(0.0, 0.45, len(typical)))
    return np.maximum(100, (typical * spread / 10).astype(np.int64) * 10)


def hour_distribution(weekday: int) -> Floats:
    """Return the cumulative share of visits that start before the end of each hour (24 values, the last is 1)."""
    weights = np.array(_HOURS_WEEKEND if weekday >= 5 else _HOURS_WORKDAY, dtype=np.float64)
    cumulative: Floats = np.cumsum(weights) / weights.sum()
    return cumulative


def pick(rng: np.random.Generator, shares: Floats, count: int) -> Ints:
    """Draw `count` indices with the given shares (they need not add up to 1)."""
    cumulative = np.cumsum(shares) / np.sum(shares)
    return np.searchsorted(cumulative, rng.random(count), side="right").astype(np.int64)
