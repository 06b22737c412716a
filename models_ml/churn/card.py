"""The model card: what a model predicts, on what, how well, for whom, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models_ml.churn.registry import Artefact

_COLUMNS = {
    "auc": "AUC", "pr_auc": "PR-AUC", "log_loss": "log loss", "brier": "Brier",
    "calibration_error": "calibration error", "lift_at_list": "lift at list", "lift_at_10pct": "lift at 10 %",
}  # fmt: skip
_KINDS = {
    "events": "visits and other events 行为事件", "orders": "orders 订单", "revenue": "amounts of orders 订单金额",
    "feedback": "feedback 反馈", "year_before": "the same weeks a year before 去年同期",
}  # fmt: skip


def model_card(artefact: Artefact, plots: Mapping[str, str]) -> str:
    """Return the card as Markdown; `plots` are file names beside it."""
    lines = [
        f"# Churn model 流失模型 {artefact.version}",
        "",
        *_summary(artefact),
        "",
        "## What it predicts 预测目标",
        *_question(artefact.config["churn"]),
        "",
        "## Data 数据",
        *_data(artefact),
        "",
        "## How it was judged 回测方法",
        *_method(artefact),
        "",
        "## Candidates 候选模型比较",
        *_candidates(artefact.metrics),
        "",
        f"![stability]({plots['stability']})",
        "",
        "## Ranking 排序能力",
        "At the newest origin; dotted: no model, and in the gain plot a perfect one. "
        "最新起点；虚线为随机（及理想）参照。",
        "",
        f"![ranking]({plots['ranking']})",
        "",
        "## Calibration 概率校准",
        *_calibration(artefact),
        "",
        f"![calibration]({plots['calibration']})",
        "",
        "## For whom it works 分群表现",
        *_segments(artefact.metrics["segments"]),
        "",
        f"![segments]({plots['segments']})",
        "",
        "## Features 特征",
        *_features(artefact),
        "",
        f"![importance]({plots['importance']})",
        "",
        "## Limits 使用限制",
        "- Reasons are what raised this user's risk in the model, not causes; whether contacting helps is told by the "
        "hold-out alone. 原因是模型中提高该用户风险的因素，并非因果；触达是否有效只能由对照组说明。",
        "- A probability holds while season and business are like those of the training dates; drift and realised "
        "quality are watched daily (`agg_churn_feature_drift`, `agg_churn_model_quality`). "
        "业务或季节变化时概率可能失准，每日监控漂移与兑现质量。",
        "- Not for decisions about a person beyond marketing care, and not for users who have never been active. "
        "不得用于营销关怀以外的个人决策。",
        "",
        "## Reproduce 复现",
        *_reproduce(artefact),
        "",
    ]
    return "\n".join(lines)


def _summary(artefact: Artefact) -> list[str]:
    measured = artefact.metrics
    mean = measured["candidates"][measured["served"]]["mean"]
    newest = measured["calibration"][-1]
    lines = [
        f"Trained as of {artefact.as_of}; **{measured['served']}** serves. Over {len(measured['origins'])} origins: "
        f"AUC **{mean['auc']:.3f}**, and the list holds **{mean['lift_at_list']:.2f} times** as many leavers as a "
        f"random one of the same length. At the newest origin {newest['predicted']:.1%} were expected to leave and "
        f"{newest['observed']:.1%} did (calibration error {newest['calibration_error']:.3f}).",
    ]
    if not measured["beats_baselines"]:
        lines += [
            "",
            "**LightGBM did not rank better than the baseline over the origins, so the baseline serves.** "
            "LightGBM 未优于基线，由基线模型提供服务。",
        ]
    advantage = measured["advantage"]
    if advantage is not None:
        lines += [
            "",
            f"LightGBM against the best baseline: AUC {advantage['difference']:+.4f}, 95 % interval "
            f"[{advantage['low']:+.4f}, {advantage['high']:+.4f}]"
            + (
                "."
                if advantage["low"] > 0
                else ": within what chance gives, the simpler model would do nearly as well."
            ),
        ]
    return lines


def _question(churn: Mapping[str, Any]) -> list[str]:
    active, lead, horizon = churn["active_window_days"], churn["lead_days"], churn["horizon_days"]
    return [
        f"The probability that a user active in the last {active} days has no active day in the {horizon} days after a "
        f"lead of {lead} days.",
        f"过去 {active} 天内活跃的用户，在提前 {lead} 天之后的 {horizon} 天内没有任何活跃日的概率。",
    ]


def _data(artefact: Artefact) -> list[str]:
    kinds = artefact.data["kinds"]
    had = ", ".join(text for kind, text in _KINDS.items() if kinds[kind])
    lacked = ", ".join(text for kind, text in _KINDS.items() if not kinds[kind])
    return [
        f"- Had: {had or 'nothing'}." + (f" Had not: {lacked}." if lacked else ""),
        f"- {artefact.data['rows']:,} user-dates, of which {artefact.data['churned']:,} churned; served model fitted "
        f"on {artefact.data['serving_rows']:,} of {', '.join(artefact.config['serving_dates'])}.",
        f"- Fingerprint of features and labels: `{artefact.data['fingerprint']}`.",
        "- Features were built a second time from a lake that ends at the newest observation date, and were the same: "
        "no leakage. 特征经截断数据复算一致，无未来信息泄漏。",
    ]


def _method(artefact: Artefact) -> list[str]:
    tuned = artefact.config["tuned"]
    found = ", ".join(f"{name} {value}" for name, value in tuned.items())
    return [
        f"Scheme `{artefact.config['scheme']}`: {artefact.config['backtest']}. Every candidate is fitted, calibrated "
        "on later data, and judged on still later data at each origin.",
        f"Parameters of LightGBM searched on the oldest origin's past only: {found}."
        if tuned
        else "The search for LightGBM's parameters found nothing clearly better than the defaults.",
    ]


def _candidates(measured: Mapping[str, Any]) -> list[str]:
    lines = [
        "Mean over the origins; each candidate calibrated in the same way. 各起点均值。",
        "",
        "| candidate | " + " | ".join(_COLUMNS.values()) + " |",
        "|---|" + "---|" * len(_COLUMNS),
    ]
    for name, figures in measured["candidates"].items():
        label = f"**{name}**" if name == measured["served"] else name
        lines.append(f"| {label} | " + " | ".join(f"{figures['mean'][column]:.4f}" for column in _COLUMNS) + " |")
    lines += [
        "",
        "AUC by origin 各起点 AUC:",
        "",
        "| origin | users | churned | " + " | ".join(measured["candidates"]) + " |",
    ]
    lines.append("|---|---|---|" + "---|" * len(measured["candidates"]))
    served = measured["candidates"][measured["served"]]["by_origin"]
    for place, origin in enumerate(measured["origins"]):
        aucs = " | ".join(f"{figures['by_origin'][place]['auc']:.4f}" for figures in measured["candidates"].values())
        lines.append(f"| {origin} | {served[place]['users']:.0f} | {served[place]['churn_rate']:.1%} | {aucs} |")
    return lines


def _calibration(artefact: Artefact) -> list[str]:
    calibrator = artefact.model.calibrator
    lines = [
        f"Curve: {calibrator.kind}, fitted on {calibrator.rows} answers about users and dates that the answering "
        "models had not seen. Level: that of the newest origin, or at scoring that of the same weeks a year before "
        "where these have foretold it better.",
        "",
        "| origin | level from | predicted | observed | calibration error |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {one['origin']} | {one['level']} | {one['predicted']:.1%} | {one['observed']:.1%} | "
        f"{one['calibration_error']:.4f} |"
        for one in artefact.metrics["calibration"]
    ]
    lines += [
        "",
        "At the newest origin, by tenths of predicted risk 按风险十分位:",
        "",
        "| users | predicted | observed |",
    ]
    lines.append("|---|---|---|")
    lines += [f"| {b['users']} | {b['predicted']:.3f} | {b['observed']:.3f} |" for b in artefact.metrics["reliability"]]
    return lines


def _segments(found: list[Mapping[str, Any]]) -> list[str]:
    lines = ["| part of the users | users | AUC | predicted | observed |", "|---|---|---|---|---|"]
    lines += [
        f"| {one['segment']} {one['range']} | {one['users']} | "
        f"{'' if one['auc'] is None else format(one['auc'], '.3f')} | {one['predicted']:.1%} | {one['observed']:.1%} |"
        for one in found
    ]
    return lines


def _features(artefact: Artefact) -> list[str]:
    strongest = list(artefact.metrics["importance"].items())[:12]
    dropped = ", ".join(f"{name} ({why})" for name, why in artefact.dropped.items())
    return [
        "Strongest: " + ", ".join(f"{name} ({weight:.0%})" for name, weight in strongest) + ".",
        "",
        f"Used: {len(artefact.model.features)}. Left out because they say nothing here: {dropped or 'none'}.",
    ]


def _reproduce(artefact: Artefact) -> list[str]:
    libraries = ", ".join(f"{name} {version}" for name, version in artefact.data["libraries"].items())
    return [
        f"`userops train --as-of {artefact.as_of}` with the settings in `config.json` and the same exports gives this "
        f"version again, byte for byte. Python {artefact.data['python']}, {libraries}.",
    ]
