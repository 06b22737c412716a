"""Settings: precedence, and errors that say where and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from userops.config import PROJECT_ROOT, load_settings
from userops.errors import ConfigError


def test_defaults_are_usable_without_a_file(instance):
    settings = instance()
    assert settings.churn.horizon_days == 30
    assert settings.paths.raw == settings.home / "lake" / "raw"


def test_the_environment_wins_over_the_file(instance, monkeypatch):
    monkeypatch.setenv("USEROPS_CHURN__HORIZON_DAYS", "60")
    settings = instance("churn: {horizon_days: 45, lead_days: 3}\n")
    assert settings.churn.horizon_days == 60
    assert settings.churn.lead_days == 3


def test_an_empty_variable_counts_as_not_set(instance, monkeypatch):
    monkeypatch.setenv("USEROPS_PUBLISH__POSTGRES_URL", "")
    assert instance().publish.postgres_url is None


def test_relative_paths_count_from_the_project_root(monkeypatch):
    monkeypatch.setenv("USEROPS_HOME", "somewhere")
    assert load_settings().home == PROJECT_ROOT / "somewhere"


@pytest.mark.parametrize(
    ("yml", "words"),
    [
        (
            "churn:\n  horizon_dayz: 3\n",
            ["userops.yml:2", "`churn.horizon_dayz`", "unknown key", "did you mean `horizon_days`"],
        ),
        ("project: {timezone: Mars/Olympus}\n", ["userops.yml:1", "Mars/Olympus", "IANA time zone"]),
        (
            "lifecycle:\n  new_days: soon\n",
            ["userops.yml:2", "'soon'", "valid integer", "correct `lifecycle.new_days`"],
        ),
        ("lifecycle: {at_risk_min_days: 40}\n", ["at_risk_min_days below churned_after_days"]),
        ("orders: {cancelled_statuses: [gone, ' ']}\n", ["words, none of them empty"]),
        ("product_stage: {min_months: 3}\n", ["min_months at least growth_months + 2"]),
        ("churn: {lead_days: 1}\nchurn: {lead_days: 2}\n", ["userops.yml:2", "`churn` was already given at line 1"]),
        ("- a list\n", ["a list", "a mapping"]),
        ("churn: {lead_days: 1\n", ["userops.yml", "valid YAML"]),
        ("home: /somewhere\n", ["`home`", "USEROPS_HOME"]),
    ],
)
def test_a_mistake_in_the_file_names_place_value_and_fix(instance, yml, words):
    with pytest.raises(ConfigError) as caught:
        instance(yml)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "USEROPS_CHURN__HORIZON", "60",
            ["environment variable USEROPS_CHURN__HORIZON", "`churn.horizon`", "active_window_days, lead_days",
             "did you mean `horizon_days`"],
        ),
        ("USEROPS_CHURN__HORIZON_DAYS", "soon", ["environment variable USEROPS_CHURN__HORIZON_DAYS", "'soon'"]),
        ("USEROPS_LIFECYCLE__AT_RISK_MIN_DAYS", "40", ["USEROPS_LIFECYCLE__AT_RISK_MIN_DAYS", "below churned_after"]),
        ("USEROPS_CHRUN__HORIZON_DAYS", "60", ["USEROPS_CHRUN__", "did you mean USEROPS_CHURN__HORIZON_DAYS"]),
        ("USEROPS_CHURN_HORIZON_DAYS", "60", ["did you mean USEROPS_CHURN__HORIZON_DAYS"]),
        ("USEROPS_HOEM", "/data", ["USEROPS_HOEM", "did you mean USEROPS_HOME"]),
        ("USEROPS_SOMETHING_ELSE", "1", ["unset USEROPS_SOMETHING_ELSE"]),
        ("USEROPS_CHURN", "60 days", ["environment variable USEROPS_CHURN", "USEROPS_CHURN__HORIZON_DAYS=60"]),
    ],
)  # fmt: skip
def test_a_mistake_in_the_environment_names_the_variable(instance, monkeypatch, name, value, words):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        instance("lifecycle: {new_days: 3}\n")
    for word in words:
        assert word in str(caught.value)
    assert "home, config" not in str(caught.value)


def test_a_mistake_in_the_file_names_the_file_beside_variables_of_the_same_section(instance, monkeypatch):
    monkeypatch.setenv("USEROPS_CHURN__LEAD_DAYS", "1")
    with pytest.raises(ConfigError, match=r"userops\.yml:1.*line 1, key `churn\.horizon`"):
        instance("churn: {horizon: 3}\n")


def test_variables_that_other_parts_read_are_no_mistakes(instance, monkeypatch):
    from userops.warehouse.dbt import dbt_environment

    texts = [path.read_text(encoding="utf-8") for path in PROJECT_ROOT.glob("dbt_project/**/*.yml")]
    texts += [(PROJECT_ROOT / file).read_text(encoding="utf-8") for file in ("docker-compose.yml", ".env.example")]
    texts += [path.read_text(encoding="utf-8") for path in (PROJECT_ROOT / "docker").iterdir() if path.is_file()]
    named = {name for text in texts for name in re.findall(r"\bUSEROPS_[A-Z_]+\b", text)}
    named |= {name for name in dbt_environment(instance()) if name.startswith("USEROPS_")}
    assert {"USEROPS_LAKE", "USEROPS_HOME_DIR"} <= named
    for name in named - {"USEROPS_HOME", "USEROPS_CONFIG"}:
        if "__" not in name:
            monkeypatch.setenv(name, "4GB")
    instance()


def test_words_for_cancelled_orders_are_compared_in_small_letters(instance):
    assert instance("orders: {cancelled_statuses: [' Gone ', GONE, 已取消]}\n").orders.cancelled_statuses == (
        "gone",
        "已取消",
    )


def test_a_missing_configuration_directory_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("USEROPS_CONFIG", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="nowhere"):
        load_settings()


def test_the_password_of_a_url_is_not_shown(instance, monkeypatch):
    monkeypatch.setenv("USEROPS_PUBLISH__POSTGRES_URL", "postgresql://u:obviously-fake@localhost/x")
    assert "obviously-fake" not in repr(instance())


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://bob:s3cretA/bcd@127.0.0.1:5999/db", "postgresql://bob:s3cret%zz@127.0.0.1:5999/db",
        "postgresql://bob:x@s3cret@127.0.0.1/db", "host=127.0.0.1 user=bob password=s3cret", "mysql://bob:s3cret@h/db",
    ],
)  # fmt: skip
def test_a_database_url_that_a_driver_would_misread_is_refused_without_being_shown(instance, monkeypatch, url):
    monkeypatch.setenv("USEROPS_PUBLISH__POSTGRES_URL", url)
    with pytest.raises(ConfigError, match=r"publish\.postgres_url.*percent-encoded") as caught:
        instance()
    assert "s3cret" not in str(caught.value)


def test_every_setting_is_in_the_shipped_file_with_its_default():
    """config/userops.yml is the reader's list of settings: a key that is missing there is a key nobody finds."""
    import yaml

    from userops.config import Settings

    shipped = yaml.safe_load((Path(PROJECT_ROOT) / "config" / "userops.yml").read_text(encoding="utf-8"))
    for name, field in Settings.model_fields.items():
        if name in {"home", "config", "log_format"}:
            continue
        section = field.annotation
        assert set(shipped[name]) == set(section.model_fields), name
