"""What sets a segment apart, in words: a name out of its strongest traits, and a sentence with the figures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_ml.segments.traits import TRAITS_BY_NAME, Floats, People

#: A trait goes into a name from this distance between segment and everybody, in spreads; at most so many traits do.
_TELLING, _WORDS_IN_NAME = 0.35, 3
#: Traits in the sentence.
_FIGURES = 3
#: Share of buyers from which a segment is one of buyers, and distance from which one is of authors.
_BUYERS, _AUTHORS = 0.5, 0.5


@dataclass(frozen=True)
class Word:
    """One adjective; those with a lower `order` come first."""

    order: int
    en: str
    zh: str


#: Words by trait, for more than everybody and for less. A trait without a word is told in the sentence only.
_WORDS: dict[str, tuple[Word | None, Word | None]] = {
    "days_since_last_active": (Word(0, "lapsing", "沉默"), Word(0, "recently active", "近期活跃")),
    "active_days": (Word(1, "frequent", "高频"), Word(1, "occasional", "低频")),
    "usual_gap_days": (Word(1, "slow-paced", "慢节奏"), Word(1, "fast-paced", "快节奏")),
    "tenure_days": (Word(2, "long-standing", "资深"), Word(2, "recently won", "新晋")),
    "net_revenue": (Word(3, "high-value", "高值"), Word(3, "low-value", "低值")),
    "orders": (Word(3, "many-order", "多单"), Word(3, "few-order", "少单")),
    "average_order_value": (Word(3, "big-basket", "大单"), Word(3, "small-basket", "小单")),
    "discount_share": (Word(4, "deal-seeking", "优惠型"), Word(4, "full-price", "原价型")),
    "refund_share": (Word(4, "often-refunding", "常退款"), None),
    "sessions_per_day": (Word(5, "many-visit", "多访"), Word(5, "few-visit", "少访")),
    "page_views_per_day": (Word(5, "deep-browsing", "深度浏览"), Word(5, "quick-look", "浅浏览")),
    "interactions_per_day": (Word(6, "interacting", "爱互动"), Word(6, "quiet", "少互动")),
    "contributions": (Word(6, "contributing", "爱创作"), None),
    "interest_share": (Word(7, "narrow-interest", "专一"), Word(7, "wide-interest", "多兴趣")),
    "channels_used": (Word(8, "multi-channel", "多渠道"), Word(8, "few-channel", "少渠道")),
    "devices_used": (Word(8, "multi-device", "多设备"), Word(8, "few-device", "少设备")),
    "weekend": (Word(9, "weekend", "周末"), Word(9, "weekday", "工作日")),
    "morning": (Word(10, "morning", "早间"), None),
    "afternoon": (Word(10, "afternoon", "午后"), None),
    "evening": (Word(10, "evening", "晚间"), None),
    "night": (Word(10, "night", "夜间"), None),
}
#: How the sentence calls a trait.
_LABELS: dict[str, tuple[str, str]] = {
    "days_since_last_active": ("days since last active", "距最近活跃天数"),
    "active_days": ("active days", "活跃天数"),
    "usual_gap_days": ("usual gap in days", "平时间隔天数"),
    "tenure_days": ("days since first active", "距首次活跃天数"),
    "net_revenue": ("net revenue", "净收入"),
    "orders": ("orders", "订单数"),
    "average_order_value": ("order value", "客单价"),
    "discount_share": ("discount share", "优惠占比"),
    "refund_share": ("refund share", "退款占比"),
    "sessions_per_day": ("sessions per active day", "活跃日均会话数"),
    "page_views_per_day": ("page views per active day", "活跃日均浏览数"),
    "interactions_per_day": ("interactions per active day", "活跃日均互动数"),
    "contributions": ("contributions", "贡献数"),
    "interest_share": ("share of the first interest", "第一兴趣占比"),
    "channels_used": ("channels used", "使用渠道数"),
    "devices_used": ("devices used", "使用设备数"),
    "weekend": ("mostly at weekends", "主要在周末活跃"),
    "morning": ("mostly in the morning", "主要在早间活跃"),
    "afternoon": ("mostly in the afternoon", "主要在午后活跃"),
    "evening": ("mostly in the evening", "主要在晚间活跃"),
    "night": ("mostly at night", "主要在夜间活跃"),
}
#: What stands before a label in English and after it in 中文.
_KINDS = {"median": ("median ", "中位数"), "mean": ("mean ", "均值"), "share": ("", "")}


@dataclass(frozen=True)
class Told:
    """A text in both languages."""

    en: str
    zh: str


def distances_from_all(scores: npt.NDArray[np.float32], labels: npt.NDArray[np.int32], segments: int) -> Floats:
    """Return per segment and trait how far its mean is from everybody's, in spreads; NaN for an empty segment."""
    distances = np.full((segments, scores.shape[1]), np.nan)
    overall = scores.mean(axis=0, dtype=np.float64)
    for segment in range(segments):
        members = scores[labels == segment]
        if len(members):
            distances[segment] = members.mean(axis=0, dtype=np.float64) - overall
    return np.round(distances, 6)


def name_segment(
    distances: Floats, traits: Sequence[str], people: People, members: npt.NDArray[np.bool_], taken: Collection[Told]
) -> Told:
    """Return a name for one segment that no other has.

    The strongest traits make it, one per theme; when that name is taken, the next strongest is added, and at last a
    number.

    Args:
        distances: of this segment, one per trait of `traits`.
        members: which of `people` are in it.
        taken: names of the other segments.
    """
    noun = _noun(distances, traits, people, members)
    words = _words(distances, traits, is_buyers=noun.en == "buyers")
    used_en, used_zh = {name.en for name in taken}, {name.zh for name in taken}
    for count in range(min(_WORDS_IN_NAME, len(words)), len(words) + 1):
        name = _composed(words[:count], noun)
        if name.en not in used_en and name.zh not in used_zh:
            return name
    number = 2
    while (name := Told(f"{_composed(words, noun).en} {number}", f"{_composed(words, noun).zh}{number}")) and (
        name.en in used_en or name.zh in used_zh
    ):
        number += 1
    return name


def _words(distances: Floats, traits: Sequence[str], is_buyers: bool) -> list[Word]:
    """Return the telling words, strongest first, one per theme. Who does not buy is not called low-value as well."""
    words, themes = [], set()
    for index in _strongest(distances):
        trait, distance = TRAITS_BY_NAME[traits[index]], distances[index]
        word = _WORDS[trait.name][0 if distance > 0 else 1]
        redundant = trait.theme == "value" and distance < 0 and not is_buyers
        if abs(distance) >= _TELLING and word and trait.theme not in themes and not redundant:
            themes.add(trait.theme)
            words.append(word)
    return words


def _strongest(distances: Floats) -> list[int]:
    return sorted(range(len(distances)), key=lambda index: (-abs(distances[index]), index))


def _noun(distances: Floats, traits: Sequence[str], people: People, members: npt.NDArray[np.bool_]) -> Told:
    has_orders = people.figure("orders") > 0
    if members.any() and has_orders[members].mean() >= _BUYERS:
        return Told("buyers", "买家")
    if "contributions" in traits and distances[list(traits).index("contributions")] >= _AUTHORS:
        return Told("authors", "作者")
    return Told("browsers", "浏览用户") if has_orders.any() else Told("users", "用户")


def _composed(words: Sequence[Word], noun: Told) -> Told:
    ordered = sorted(words, key=lambda word: word.order) or [Word(0, "ordinary", "普通")]
    english = " ".join([*(word.en for word in ordered), noun.en])
    return Told(english[0].upper() + english[1:], "".join(word.zh for word in ordered) + noun.zh)


def what_sets_apart(distances: Floats, traits: Sequence[str], people: People, members: npt.NDArray[np.bool_]) -> Told:
    """Return the strongest trait of each of the strongest themes, with the segment's figure and everybody's."""
    english, chinese = [], []
    themes: set[str] = set()
    for index in _strongest(distances):
        theme = TRAITS_BY_NAME[traits[index]].theme
        if theme in themes or len(themes) == _FIGURES:
            continue
        themes.add(theme)
        figures = people.figure(traits[index])
        kind, theirs, all_users = _figures(traits[index], figures[members], figures)
        en, zh = _LABELS[traits[index]]
        before, after = _KINDS[kind]
        english.append(f"{before}{en} {theirs} (all {all_users})")
        chinese.append(f"{zh}{after} {theirs}（全体 {all_users}）")
    return Told("; ".join(english), "；".join(chinese))


def _figures(trait: str, theirs: npt.NDArray[np.float32], all_users: npt.NDArray[np.float32]) -> tuple[str, str, str]:
    """Return median or mean or share, of the segment and of everybody; the mean where the medians say nothing."""
    scale = TRAITS_BY_NAME[trait].scale
    if scale == "flag":
        return "share", _percent(_mean(theirs)), _percent(_mean(all_users))
    show = _percent if scale == "share" else _number
    medians = show(median(theirs)), show(median(all_users))
    if medians[0] != medians[1]:
        return "median", *medians
    return "mean", show(_mean(theirs)), show(_mean(all_users))


def median(values: npt.NDArray[np.float32]) -> float | None:
    """Return the median of what is known; None when nothing is."""
    known = values[~np.isnan(values)]
    return round(float(np.median(known.astype(np.float64))), 4) if known.size else None


def _mean(values: npt.NDArray[np.float32]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean(dtype=np.float64)) if known.size else None


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}".removesuffix(".0")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
