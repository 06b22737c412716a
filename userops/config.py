"""One typed settings object: every path, every threshold.

Values come from, in this order: environment variables `USEROPS_*` (nested with `__`, as in
`USEROPS_CHURN__HORIZON_DAYS=60`), then `userops.yml` in the configuration directory, then the defaults below.
Two variables are enough for a second, independent instance: `USEROPS_HOME` (data) and `USEROPS_CONFIG` (configuration).
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from userops.errors import ConfigError
from userops.yamlfile import config_error, read_mapping

PROJECT_ROOT = Path(__file__).resolve().parents[1]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SessionSettings(_Section):
    """How events are grouped into sessions."""

    gap_minutes: PositiveInt = Field(30, description="silence, in minutes, that ends a session")


class TaxonomySettings(_Section):
    """What an event means when `event_taxonomy.csv` does not list it."""

    unlisted_is_activity: bool = Field(
        True, description="whether an event the taxonomy does not list makes an active day"
    )


class LifecycleSettings(_Section):
    """Thresholds of the lifecycle stages, in days unless said otherwise."""

    new_days: PositiveInt = Field(7, description="days from the first active day on which a user is `new`")
    mature_active_days: PositiveInt = Field(8, description="active days that make a `growing` user `mature`")
    default_gap_days: PositiveInt = Field(7, description="usual gap of a user with fewer than three active days")
    at_risk_factor: float = Field(2.0, gt=1.0, description="silence beyond usual gap x factor is `at_risk`")
    at_risk_min_days: PositiveInt = Field(7, description="never `at_risk` sooner than this")
    churned_after_days: PositiveInt = Field(30, description="silence that makes a user `churned`")
    returned_days: PositiveInt = Field(14, description="days a user stays `returned` after coming back from `churned`")

    @model_validator(mode="after")
    def _risk_before_churn(self) -> Self:
        if self.at_risk_min_days >= self.churned_after_days:
            raise ValueError("at_risk_min_days below churned_after_days")
        return self


class ChurnSettings(_Section):
    """Churn label and training. A user is labelled at day D when active in the last `active_window_days`."""

    active_window_days: PositiveInt = Field(90, description="a user counts when active in this many days up to D")
    lead_days: int = Field(0, ge=0, description="days between D and the start of the horizon")
    horizon_days: PositiveInt = Field(30, description="churned = no active day in (D + lead, D + lead + horizon]")
    observation_step_days: PositiveInt = Field(15, description="days between training observation dates")
    max_observations: PositiveInt = Field(8, description="most observation dates used for one training")
    min_users: PositiveInt = Field(200, description="fewest labelled user-dates to train on")
    value_window_days: PositiveInt = Field(180, description="trailing days of net revenue that value a user")
    seed: int = Field(20240101, description="seed of every random choice in training")


class WarningListSettings(_Section):
    """What goes on the daily churn-warning list."""

    max_users: PositiveInt = Field(500, description="longest list")
    min_probability: float = Field(0.30, ge=0.0, le=1.0, description="lowest churn probability that is listed")
    high_risk: float = Field(0.70, ge=0.0, le=1.0, description="probability from which the band is `high`")
    medium_risk: float = Field(0.50, ge=0.0, le=1.0, description="probability from which the band is `medium`")


class GateSettings(_Section):
    """Thresholds of the Great Expectations gates."""

    max_quarantine_share: float = Field(
        0.05, ge=0.0, le=1.0, description="largest quarantined share of one source's rows"
    )
    earliest_date: date = Field(date(1990, 1, 1), description="business dates before this are refused")
    max_future_days: int = Field(1, ge=0, description="business dates later than today plus this are refused")


class IdentitySettings(_Section):
    """How device ids and user ids are joined into persons."""

    max_users_per_device: PositiveInt = Field(
        10, description="a device that more users than this logged in on is a shared one: it links nobody"
    )
    max_devices_per_user: PositiveInt = Field(
        200, description="a user seen on more devices than this is a robot or a shop desk: it links nothing"
    )
    merge_accounts: bool = Field(
        False, description="whether accounts linked through devices count as one user, under the account seen first"
    )


class LedgerSettings(_Section):
    """Where the ledger of taken files lies."""

    url: SecretStr | None = Field(
        None, description="postgresql+psycopg2:// URL; the ledger goes to its schema `userops`; default: SQLite"
    )


class EngineSettings(_Section):
    """Limits of the embedded DuckDB engine."""

    memory_limit: str = Field("4GB", pattern=r"^\d+(\.\d+)?\s?(MB|GB|MiB|GiB)$", description="DuckDB memory limit")
    threads: PositiveInt = Field(2, description="DuckDB threads")


class ProjectSettings(_Section):
    """What this instance is about."""

    name: str = Field("userops", pattern=r"^[a-z][a-z0-9_]*$", description="short name of the instance")
    timezone: str = Field("Asia/Shanghai", description="IANA time zone in which business dates are counted")
    currency: str = Field("CNY", pattern=r"^[A-Z]{3}$", description="ISO 4217 code of amounts without one")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("an IANA time zone such as Asia/Shanghai or Europe/Amsterdam")
        return value


class PublishSettings(_Section):
    """Where the marts go besides the published DuckDB file and Parquet."""

    postgres_url: SecretStr | None = Field(None, description="postgresql:// URL; marts go to its schema `marts`")
    storage_version: str = Field(
        "v1.2.0", description="DuckDB storage version of the published file, for older readers"
    )


class Settings(BaseSettings):
    """All settings of one instance."""

    model_config = SettingsConfigDict(
        env_prefix="USEROPS_", env_nested_delimiter="__", env_ignore_empty=True, extra="forbid", frozen=True
    )

    home: Path = Field(Path("var"), description="all data: landing, lake, warehouse, published")
    config: Path = Field(Path("config"), description="all configuration: userops.yml, sources, funnels, taxonomy")
    log_format: Literal["console", "json"] = Field("console", description="how log lines look")
    project: ProjectSettings = ProjectSettings()
    sessions: SessionSettings = SessionSettings()
    taxonomy: TaxonomySettings = TaxonomySettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    churn: ChurnSettings = ChurnSettings()
    warning_list: WarningListSettings = WarningListSettings()
    gates: GateSettings = GateSettings()
    identity: IdentitySettings = IdentitySettings()
    ledger: LedgerSettings = LedgerSettings()
    engine: EngineSettings = EngineSettings()
    publish: PublishSettings = PublishSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file: `load_settings` hands the file's values in as init settings."""
        return env_settings, init_settings

    @property
    def tz(self) -> ZoneInfo:
        """The project's time zone."""
        return ZoneInfo(self.project.timezone)

    @property
    def paths(self) -> Paths:
        """Every path of this instance."""
        return Paths(self.home, self.config)


class Paths:
    """Every path below USEROPS_HOME and USEROPS_CONFIG. Nothing is created here."""

    def __init__(self, home: Path, config: Path) -> None:
        self.home = home
        self.config = config
        self.settings_file = config / "userops.yml"
        self.sources = config / "sources"
        self.funnels_file = config / "funnels.yml"
        self.taxonomy_file = config / "event_taxonomy.csv"
        self.identity_unbind_file = config / "identity_unbind.csv"
        self.exchange_rates_file = config / "exchange_rates.csv"

        self.landing = home / "landing"
        self.fetched = home / "fetched"
        self.ground_truth = home / "ground_truth"
        self.lake = home / "lake"
        self.raw = self.lake / "raw"
        self.incoming = self.lake / "incoming"
        self.quarantine = self.lake / "quarantine"
        self.duplicates = self.lake / "duplicates"
        self.scores = self.lake / "scores"
        self.control = self.lake / "control"
        self.ledger_db = home / "ledger.sqlite"
        self.lock_file = home / "pipeline.lock"
        self.warehouse_dir = home / "warehouse"
        self.warehouse = self.warehouse_dir / "userops.duckdb"
        self.dbt_target = self.warehouse_dir / "dbt_target"
        self.dbt_logs = self.warehouse_dir / "dbt_logs"
        self.models = home / "models"
        self.quality = home / "quality"
        self.published = home / "published"
        self.published_duckdb = self.published / "marts.duckdb"
        self.published_parquet = self.published / "parquet"
        self.published_exports = self.published / "exports"
        self.airflow_home = home / "airflow"


def load_settings(**overrides: Any) -> Settings:
    """Read the settings of this process.

    Args:
        overrides: values that win over the file (for tests); the environment still wins over them.

    Raises:
        ConfigError: `userops.yml` or a `USEROPS_*` variable holds something unusable.
    """
    config_dir = _resolve(os.environ.get("USEROPS_CONFIG") or overrides.pop("config", None) or "config")
    home_dir = _resolve(os.environ.get("USEROPS_HOME") or overrides.pop("home", None) or "var")
    if not config_dir.is_dir():
        raise ConfigError(
            "USEROPS_CONFIG", f"no directory {config_dir}", "a directory with userops.yml",
            "run from the project's root, or set USEROPS_CONFIG",
        )  # fmt: skip
    file = config_dir / "userops.yml"
    document = read_mapping(file) if file.exists() else {}
    for reserved in ("home", "config"):
        if reserved in document:
            raise ConfigError(
                str(file), f"key `{reserved}`", f"the path in the environment variable USEROPS_{reserved.upper()}",
                f"remove `{reserved}` from the file",
            )  # fmt: skip
    try:
        settings = Settings(**{**document, **overrides})
    except ValidationError as error:
        raise config_error(error, file, Settings, document) from None
    return settings.model_copy(update={"home": home_dir, "config": config_dir})


def _resolve(path: str | Path) -> Path:
    """Relative paths count from the project's root, so that Airflow and a shell agree on them."""
    expanded = Path(path).expanduser()
    return expanded if expanded.is_absolute() else PROJECT_ROOT / expanded
