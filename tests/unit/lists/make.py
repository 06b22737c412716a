"""A list without a database."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from userops.lists.content import ListContent
from userops.lists.registry import CHURN_WARNING

DAY = date(2026, 6, 29)
TYPES = {
    "as_of_date": "DATE", "rank": "BIGINT", "user_id": "VARCHAR", "team": "VARCHAR", "churn_probability": "DOUBLE",
    "risk_band": "VARCHAR", "expected_loss": "DECIMAL(18,2)", "value_tier": "VARCHAR", "lifecycle_stage": "VARCHAR",
    "days_silent": "BIGINT", "reason_1_code": "VARCHAR", "reason_1_en": "VARCHAR", "reason_1_zh": "VARCHAR",
    "model_version": "VARCHAR", "currency": "VARCHAR",
}  # fmt: skip
DOCS = {"churn_probability": "Calibrated probability of churn. 流失概率", "user_id": "User id. 用户 ID"}
_DEFAULTS = {
    "as_of_date": DAY, "churn_probability": 0.9, "risk_band": "high", "expected_loss": Decimal("10.00"),
    "value_tier": "high", "lifecycle_stage": "at_risk", "days_silent": 31, "reason_1_code": "silent",
    "reason_1_en": "usually buys every 12 days, now 31 days silent", "reason_1_zh": "通常每 12 天购买，现已沉默 31 天",
    "model_version": "m1", "currency": "CNY",
}  # fmt: skip


def make_list(
    *rows: dict[str, Any], before: set[str] | None = None, types: dict[str, str] | None = None
) -> ListContent:
    """Return a list with these rows, ranked as they come; what a row does not say has a usual value."""
    types = types or TYPES
    filled = [
        tuple({**_DEFAULTS, "rank": rank, "user_id": f"u{rank}", **row}.get(name) for name in types)
        for rank, row in enumerate(rows, start=1)
    ]
    return ListContent(CHURN_WARNING, DAY, types, filled, dict(DOCS), None if before is None else frozenset(before))
