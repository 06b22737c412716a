"""dim_settings tells what is configured, under the names of config/userops.yml."""

from __future__ import annotations

from datetime import date
from functools import reduce
from typing import Any


def test_every_setting_has_the_value_of_its_key(warehouse: Any) -> None:
    outreach = warehouse.settings.outreach.model_dump(mode="json")
    outreach["teams"] = [{"name": "north", "regions": ["北京"]}]
    warehouse.run(date(2024, 3, 10), "--select", "dim_settings", outreach=outreach)
    told = dict(warehouse.query("select setting, setting_value from dim_settings"))
    assert told["lifecycle.churned_after_days"] == str(warehouse.settings.lifecycle.churned_after_days)
    assert told["retention.repeat_purchase_days"] == "30, 60, 90, 180, 365"
    assert "交易关闭" in told["orders.cancelled_statuses"]
    assert "待处理" in told["outreach.suppression.open_statuses"]
    assert '"north"' in told.pop("outreach.teams"), "what is no plain list is told as JSON"
    assert not [name for name in told if "salt" in name], "nobody finds out who is held out at random"
    configured = warehouse.settings.model_dump(mode="json")
    for name, value in told.items():
        expected = reduce(lambda section, key: section[key], name.split("."), configured)
        assert value == _as_text(expected), name


def _as_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
