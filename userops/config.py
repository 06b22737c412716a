"""One typed settings object: every path, every threshold.

Values come from, in this order: environment variables `USEROPS_*` (nested with `__`, as in
`USEROPS_CHURN__HORIZON_DAYS=60`), then `userops.yml` in the configuration directory, then the defaults below.
Two variables are enough for a second, independent instance: `USEROPS_HOME` (data) and `USEROPS_CONFIG` (configuration).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
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
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from userops.delivery.settings import DeliverySettings, secrets_in, variable
from userops.errors import ConfigError
from userops.lists.registry import Language
from userops.postgresurl import read_postgres_url
from userops.yamlfile import config_error, read_mapping

PROJECT_ROOT = Path(__file__).resolve().parents[1]
_PREFIX = "USEROPS_"
#: Variables that are no settings: what dbt's project reads (userops.warehouse.dbt sets it for its children), and what
#: the compose file does. Whoever loads .env into a shell has the latter there, too.
_NO_SETTINGS = frozenset(
    {"USEROPS_LAKE", "USEROPS_WAREHOUSE", "USEROPS_THREADS", "USEROPS_MEMORY_LIMIT"}
    | {"USEROPS_HOME_DIR", "USEROPS_CONFIG_DIR", "USEROPS_UID", "USEROPS_GID"}
)


@cache
def time_zones() -> frozenset[str]:
    """Return the names of all IANA time zones; they are looked up once, because that walks through a tree of files."""
    return frozenset(available_timezones())


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


class OrderSettings(_Section):
    """What the words of an order's status mean."""

    cancelled_statuses: tuple[str, ...] = Field(
        (
            "cancelled", "canceled", "cancel", "void", "voided", "trade_canceled", "trade_closed",
            "trade_closed_by_taobao",
            "已取消", "取消", "订单取消", "交易取消", "交易关闭", "已关闭", "订单关闭", "作废", "已作废",
        ),
        description="statuses of orders that count as no purchase and in no revenue; capitals and blanks are ignored",
    )  # fmt: skip

    @field_validator("cancelled_statuses")
    @classmethod
    def _comparable(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(value.strip().lower() for value in values))
        if "" in words:
            raise ValueError("words, none of them empty")
        return words


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


class InterestWeights(_Section):
    """What a look, an action and a bought line say about interest in a category, compared with each other."""

    view: PositiveInt = Field(1, description="an activity that is not an interaction, such as a product view")
    interaction: PositiveInt = Field(3, description="an interaction, such as a like, a cart or a review")
    order_line: PositiveInt = Field(5, description="a line of an order")


class PersonaSettings(_Section):
    """What a persona says about habits, interests and price sensitivity."""

    window_days: PositiveInt = Field(180, description="habits and interests: days up to the user's own last active day")
    interest_half_life_days: PositiveInt = Field(30, description="after this many days a trace of interest counts half")
    interest_weights: InterestWeights = InterestWeights()
    price_sensitive_share: float = Field(
        0.15, gt=0.0, le=1.0, description="discount share of gross revenue from which price sensitivity is `high`"
    )
    price_aware_share: float = Field(
        0.05, gt=0.0, le=1.0, description="discount share of gross revenue from which price sensitivity is `medium`"
    )

    @model_validator(mode="after")
    def _aware_before_sensitive(self) -> Self:
        if self.price_aware_share >= self.price_sensitive_share:
            raise ValueError("price_aware_share below price_sensitive_share")
        return self


class LevelPoints(_Section):
    """Points a user earns towards a level, within `tiers.window_days`."""

    active_day: int = Field(1, ge=0, description="points of an active day")
    interaction: int = Field(1, ge=0, description="points of an interaction")
    contribution: int = Field(5, ge=0, description="points of a contribution, besides those of an interaction")
    order: int = Field(10, ge=0, description="points of a purchase")


class TierSettings(_Section):
    """Value, frequency, tenure, buyer, seller, author and reader tiers, and levels; judged at fixed dates.

    Value and seller tiers look at `churn.value_window_days`.
    """

    judged_weeks: PositiveInt = Field(8, le=53, description="tiers are judged at this many past week ends (Sundays)")
    history_months: PositiveInt = Field(6, le=24, description="and before those at the month ends of so many months")
    value_high_share: float = Field(0.20, gt=0.0, lt=1.0, description="top share of earners that is `high`")
    value_medium_share: float = Field(0.30, gt=0.0, lt=1.0, description="next share, `medium`; the rest is `low`")
    window_days: PositiveInt = Field(180, description="days that levels, author and reader tiers look at")
    frequency_window_days: PositiveInt = Field(30, description="days that the frequency tier looks at")
    frequency_high_days: PositiveInt = Field(12, description="active days in it that are `high` frequency")
    frequency_medium_days: PositiveInt = Field(4, description="active days in it that are `medium` frequency")
    new_user_days: PositiveInt = Field(30, description="days from the first trace on which a user is `new`")
    loyal_orders: int = Field(5, ge=3, description="purchases so far that make a `repeat` buyer `loyal`")
    author_high_contributions: PositiveInt = Field(10, description="contributions that make an author tier `high`")
    author_medium_contributions: PositiveInt = Field(3, description="contributions that make it `medium`")
    reader_high_page_views: PositiveInt = Field(200, description="page views that make a reader tier `high`")
    reader_medium_page_views: PositiveInt = Field(50, description="page views that make it `medium`")
    moderation_events: tuple[str, ...] = Field((), description="names of events that only a moderator causes")
    points: LevelPoints = LevelPoints()
    level_points: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = Field(
        (20, 60, 150, 400), description="points from which a user has level 2, 3, 4 and 5"
    )

    @model_validator(mode="after")
    def _thresholds_in_order(self) -> Self:
        for what in ("frequency_{}_days", "author_{}_contributions", "reader_{}_page_views"):
            medium, high = what.format("medium"), what.format("high")
            if getattr(self, medium) >= getattr(self, high):
                raise ValueError(f"{medium} below {high}")
        if self.frequency_window_days > self.window_days:
            raise ValueError("frequency_window_days not above window_days")
        if self.value_high_share + self.value_medium_share >= 1:
            raise ValueError("value_high_share and value_medium_share below 1 together")
        if list(self.level_points) != sorted(set(self.level_points)):
            raise ValueError("level_points that rise from level to level")
        return self


class RetentionSettings(_Section):
    """How long cohorts are followed, and which repeat purchases are told."""

    max_days: PositiveInt = Field(30, le=400, description="days that cohorts of a day are followed")
    max_weeks: PositiveInt = Field(26, le=260, description="weeks that cohorts of a week are followed")
    max_months: PositiveInt = Field(24, le=120, description="months that cohorts of a month are followed")
    repeat_purchase_days: tuple[PositiveInt, ...] = Field(
        (30, 60, 90, 180, 365),
        min_length=1,
        description="days after the first purchase within which a second one counts",
    )
    max_purchase_number: PositiveInt = Field(20, description="purchase number from which all further ones are one row")


class ActivationSettings(_Section):
    """Which early behaviours are compared, and what staying means. Day 0 is a user's first active day."""

    window_days: PositiveInt = Field(7, description="early behaviour is that of days 0 to window_days - 1")
    retained_from_day: PositiveInt = Field(8, description="stayed = active on a day from this one")
    retained_to_day: PositiveInt = Field(14, description="to this one")
    cohort_days: PositiveInt = Field(90, description="first active days that are looked at, the latest complete ones")
    min_times: tuple[PositiveInt, ...] = Field(
        (1, 2, 3, 5), min_length=1, description="a candidate is a behaviour shown at least this often"
    )
    min_users: PositiveInt = Field(30, description="fewest users with, and without, the behaviour")
    interval_z: float = Field(1.959964, gt=0.0, description="normal quantile of the intervals; 1.959964 makes 95 %")

    @model_validator(mode="after")
    def _behaviour_before_outcome(self) -> Self:
        if self.retained_from_day < self.window_days:
            raise ValueError("retained_from_day at or after window_days: the outcome begins after the behaviour")
        if self.retained_to_day < self.retained_from_day:
            raise ValueError("retained_to_day at or after retained_from_day")
        return self


class PathSettings(_Section):
    """What the paths through sessions show."""

    window_days: PositiveInt = Field(30, le=400, description="trailing days of sessions")
    step: Literal["event_name", "page"] = Field(
        "event_name", description="a step is an event, by its name, or a page view, by its page"
    )
    max_steps: PositiveInt = Field(8, description="steps of a session that are followed")
    top_steps: PositiveInt = Field(20, description="steps that are shown by name; the others are `(other)`")


class ReferralSettings(_Section):
    """Where invitations show."""

    invitation_events: tuple[str, ...] = Field(
        ("invitation_sent",), min_length=1, description="names of events by which a user invites somebody"
    )


class ProductStageTargets(_Section):
    """What each dimension of growth is to reach in a month; without a target its own past is the measure."""

    new_users: PositiveInt | None = Field(None, description="acquisition: users won in a month")
    activation_rate: float | None = Field(None, gt=0.0, le=1.0, description="activation: share of new users activated")
    paying_rate: float | None = Field(None, gt=0.0, le=1.0, description="conversion: share of active users who buy")
    retention_rate: float | None = Field(None, gt=0.0, le=1.0, description="retention: share of last month's who stay")
    recall_rate: float | None = Field(None, gt=0.0, le=1.0, description="recall: share of dormant users who come back")


class ProductStageSettings(_Section):
    """Thresholds of the product's own stage, judged per calendar month."""

    min_months: PositiveInt = Field(5, description="finished months before which the product is in `cold_start`")
    min_mau: PositiveInt = Field(100, description="monthly active users that end `cold_start` once reached")
    growth_months: PositiveInt = Field(3, description="MAU is compared with that of so many months before")
    growth_rate: float = Field(0.10, gt=0.0, description="MAU growth over these months that is `growth`")
    decline_rate: float = Field(0.10, gt=0.0, lt=1.0, description="MAU loss over these months that is `decline`")
    growth_new_share: float = Field(0.10, ge=0.0, le=1.0, description="least share of new users in a `growth` month")
    activation_active_days: int = Field(2, ge=2, description="active days in the first month that activate a new user")
    trailing_months: PositiveInt = Field(6, description="months before whose median is the measure without a target")
    min_trailing_months: PositiveInt = Field(3, description="fewest of them; else there is no measure")
    targets: ProductStageTargets = ProductStageTargets()

    @model_validator(mode="after")
    def _enough_months(self) -> Self:
        if self.min_months < self.growth_months + 2:
            raise ValueError("min_months at least growth_months + 2: the first month is no measure, everybody is new")
        if self.min_trailing_months > self.trailing_months:
            raise ValueError("min_trailing_months not above trailing_months")
        return self


class AarrrSettings(_Section):
    """Stages of AARRR a user can reach in the first `horizon_days` days; day 0 is the day of acquisition."""

    horizon_days: PositiveInt = Field(30, description="days from acquisition on within which a stage counts")
    activation_days: PositiveInt = Field(7, description="first days whose interactions activate")
    activation_interactions: PositiveInt = Field(1, description="interactions in these days that activate a user")
    retained_from_day: PositiveInt = Field(7, description="retained = active on this day or a later one")

    @model_validator(mode="after")
    def _within_horizon(self) -> Self:
        if max(self.activation_days, self.retained_from_day + 1) > self.horizon_days:
            raise ValueError("activation_days not above horizon_days, retained_from_day below it")
        return self


class ChurnSettings(_Section):
    """Churn label and training. A user is labelled at day D when active in the last `active_window_days`."""

    active_window_days: PositiveInt = Field(90, description="a user counts when active in this many days up to D")
    lead_days: int = Field(0, ge=0, description="days between D and the start of the horizon")
    horizon_days: PositiveInt = Field(30, description="churned = no active day in (D + lead, D + lead + horizon]")
    observation_step_days: PositiveInt | None = Field(
        None, description="days between training observation dates; null: a third of the horizon, from 7 to 30"
    )
    max_observations: PositiveInt = Field(12, description="most observation dates used for one training")
    backtest_origins: PositiveInt = Field(4, description="most dates on which a training judges its candidates")
    tuning_trials: int = Field(10, ge=0, le=200, description="tries of the search for LightGBM's parameters; 0: none")
    max_calibration_error: float = Field(
        0.05, gt=0.0, le=1.0, description="expected calibration error above which a model is not promoted"
    )
    min_users: PositiveInt = Field(200, description="fewest labelled user-dates to train on")
    value_window_days: PositiveInt = Field(180, description="trailing days of net revenue that value a user")
    seed: int = Field(20240101, ge=0, lt=2**31, description="seed of every random choice in training")

    @property
    def step_days(self) -> int:
        """Days between observation dates."""
        return self.observation_step_days or min(30, max(7, self.horizon_days // 3))


class MlflowSettings(_Section):
    """Where trainings are recorded besides USEROPS_HOME/models/churn."""

    enabled: bool = Field(True, description="whether trainings and aliases are recorded in MLflow")
    tracking_uri: str | None = Field(
        None, description="an MLflow tracking server, https://...; default: a SQLite file below USEROPS_HOME/models"
    )


class SegmentSettings(_Section):
    """Segments: groups of alike users found by clustering."""

    min_users: PositiveInt = Field(200, description="fewest users with whom segments are made at all")
    active_window_days: PositiveInt = Field(180, description="a user has a segment when active in this many days")
    min_segments: int = Field(4, ge=2, description="fewest segments that are tried")
    max_segments: int = Field(8, ge=2, le=20, description="most segments that are tried")
    min_share: float = Field(
        0.02, ge=0.0, lt=0.5, description="a number of segments with one smaller than this share is avoided"
    )
    refit_days: PositiveInt = Field(28, description="days a fit assigns users before there is a new one")
    max_move: float = Field(
        0.5, gt=0.0, le=1.0,
        description="a segment keeps its id while a new fit moves it by no more than this share of the way to the next",
    )  # fmt: skip
    seed: int = Field(20240101, ge=0, lt=2**32, description="seed of every random choice")

    @model_validator(mode="after")
    def _range_of_segments(self) -> Self:
        if self.min_segments > self.max_segments:
            raise ValueError("min_segments not above max_segments")
        return self


class HandOverSettings(_Section):
    """When a user goes from the churn-warning list over to the win-back list."""

    enabled: bool = Field(
        True, description="whether users silent past `lifecycle.churned_after_days` leave the warning list"
    )
    gap_factor: float = Field(
        3.0, gt=1.0, description="but never before a silence of so many of the user's own usual gaps"
    )


class WarningListSettings(_Section):
    """What goes on the daily churn-warning list, and what keeps people from hopping on and off."""

    max_users: PositiveInt = Field(500, description="longest list of a team that has no limit of its own")
    min_probability: float = Field(0.30, ge=0.0, le=1.0, description="churn probability from which a user enters")
    stay_probability: float = Field(0.20, ge=0.0, le=1.0, description="who is listed stays at or above this one")
    leave_after_days: PositiveInt = Field(3, description="days below it after which a listed user leaves")
    keep_factor: float = Field(
        1.25, ge=1.0, description="a full list gives a user's place away for so many times the expected loss"
    )
    rest_days: int = Field(7, ge=0, description="days a listed user who was active again is left alone")
    high_risk: float = Field(0.70, ge=0.0, le=1.0, description="probability from which the band is `high`")
    medium_risk: float = Field(0.50, ge=0.0, le=1.0, description="probability from which the band is `medium`")
    hand_over: HandOverSettings = HandOverSettings()

    @model_validator(mode="after")
    def _stay_below_enter(self) -> Self:
        if self.stay_probability > self.min_probability:
            raise ValueError("stay_probability not above min_probability")
        return self


class WinbackListSettings(_Section):
    """Which churned users are worth calling. Similar users: same value tier, length of silence and channel."""

    max_users: PositiveInt = Field(300, description="longest list of a team that has no limit of its own")
    max_silence_days: PositiveInt = Field(365, description="users silent for longer are not called")
    return_days: PositiveInt = Field(30, description="days within which similar users have to have come back")
    lookback_days: PositiveInt = Field(730, description="days of history that similar users are taken from")
    prior_users: PositiveInt = Field(
        50, description="weight, in users, of the next larger group in the return rate of a group"
    )
    keep_factor: float = Field(
        1.25, ge=1.0, description="a full list gives a user's place away for so many times the expected value"
    )
    trigger_days: PositiveInt = Field(7, description="a campaign or call up to so many days before a return counts")
    min_returns: PositiveInt = Field(5, description="fewest returns of similar users that are told about")
    min_trigger_share: float = Field(
        0.10, gt=0.0, le=1.0, description="and the least share of them that something preceded, to be told about"
    )


class TeamSettings(_Section):
    """A team that works on the lists. Of the teams whose conditions all hold, a user goes to the first."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="short name of the team")
    regions: tuple[str, ...] = Field((), description="regions of its users; empty: any")
    channels: tuple[str, ...] = Field((), description="preferred channels of its users; empty: any")
    value_tiers: tuple[Literal["high", "medium", "low"], ...] = Field((), description="value tiers; empty: any")
    share: float | None = Field(
        None, gt=0.0, lt=1.0, description="share of the users that got so far, chosen by a hash of the user id"
    )
    max_warning_users: PositiveInt | None = Field(None, description="longest churn-warning list of the team")
    max_winback_users: PositiveInt | None = Field(None, description="longest win-back list of the team")


class HoldoutSettings(_Section):
    """Users kept off the lists at random, so that what the calls bring can be measured."""

    share: float = Field(0.10, ge=0.0, lt=1.0, description="share of the users kept off; 0: nobody, and no effect")
    salt: str = Field("userops", min_length=1, description="another salt is another draw")
    window: Literal["month", "quarter", "year"] = Field(
        "quarter", description="a user keeps the draw for so long; then everybody is drawn anew"
    )


class SuppressionSettings(_Section):
    """Who is left alone although the list would have them."""

    contacted_days: int = Field(14, ge=0, description="days after a contact without another one; 0: no rest")
    complaint_kinds: tuple[str, ...] = Field(
        ("complaint", "ticket"), description="kinds of feedback that have to be settled first"
    )
    open_statuses: tuple[str, ...] = Field(
        ("open", "new", "pending", "in_progress", "reopened", "待处理", "处理中"),
        description="their statuses that are not settled; without a status it is `resolved_at`",
    )
    complaint_max_days: PositiveInt = Field(90, description="days after which an open one is taken for forgotten")


class EffectSettings(_Section):
    """How the effect of the lists is measured."""

    window_days: PositiveInt = Field(30, description="days from the first listing on in which a return counts")
    interval_z: float = Field(1.959964, gt=0.0, description="normal quantile of the intervals; 1.959964 makes 95 %")


class OutreachSettings(_Section):
    """What both lists have in common: teams, hold-out, suppression, and how the effect is measured."""

    teams: tuple[TeamSettings, ...] = Field((), description="teams; none: one team called `default`")
    holdout: HoldoutSettings = HoldoutSettings()
    suppression: SuppressionSettings = SuppressionSettings()
    effect: EffectSettings = EffectSettings()

    @model_validator(mode="after")
    def _team_names_differ(self) -> Self:
        names = [team.name for team in self.teams]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"a `name` of its own for every team; {', '.join(repeated)} is used twice")
        return self


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
        if value not in time_zones():
            raise ValueError("an IANA time zone such as Asia/Shanghai or Europe/Amsterdam")
        return value


class PublishSettings(_Section):
    """Where the marts go besides the published DuckDB file and Parquet."""

    postgres_url: SecretStr | None = Field(None, description="postgresql:// URL; marts go to its schema `marts`")
    storage_version: str = Field(
        "v1.2.0", description="DuckDB storage version of the published file, for older readers"
    )

    @field_validator("postgres_url")
    @classmethod
    def _readable_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            read_postgres_url(value.get_secret_value())
        return value


class ListSettings(_Section):
    """How the lists look that people open."""

    language: Language = Field("both", description="language of headers and sentences in CSV and XLSX: zh, en or both")


class Settings(BaseSettings):
    """All settings of one instance."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", env_ignore_empty=True, extra="forbid", frozen=True
    )

    home: Path = Field(Path("var"), description="all data: landing, lake, warehouse, published")
    config: Path = Field(Path("config"), description="all configuration: userops.yml, sources, funnels, taxonomy")
    log_format: Literal["console", "json"] = Field("console", description="how log lines look")
    project: ProjectSettings = ProjectSettings()
    sessions: SessionSettings = SessionSettings()
    taxonomy: TaxonomySettings = TaxonomySettings()
    orders: OrderSettings = OrderSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    product_stage: ProductStageSettings = ProductStageSettings()
    persona: PersonaSettings = PersonaSettings()
    tiers: TierSettings = TierSettings()
    retention: RetentionSettings = RetentionSettings()
    activation: ActivationSettings = ActivationSettings()
    user_paths: PathSettings = PathSettings()
    referral: ReferralSettings = ReferralSettings()
    aarrr: AarrrSettings = AarrrSettings()
    churn: ChurnSettings = ChurnSettings()
    mlflow: MlflowSettings = MlflowSettings()
    segments: SegmentSettings = SegmentSettings()
    warning_list: WarningListSettings = WarningListSettings()
    winback_list: WinbackListSettings = WinbackListSettings()
    outreach: OutreachSettings = OutreachSettings()
    gates: GateSettings = GateSettings()
    identity: IdentitySettings = IdentitySettings()
    ledger: LedgerSettings = LedgerSettings()
    engine: EngineSettings = EngineSettings()
    publish: PublishSettings = PublishSettings()
    lists: ListSettings = ListSettings()
    delivery: DeliverySettings = DeliverySettings()

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
        self.sources = config / "sources"
        self.funnels_file = config / "funnels.yml"
        self.tags_file = config / "tags.yml"
        self.taxonomy_file = config / "event_taxonomy.csv"
        self.identity_unbind_file = config / "identity_unbind.csv"
        self.exchange_rates_file = config / "exchange_rates.csv"
        self.manual_list_file = config / "warning_list_manual.csv"

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
        self.delivery_lock_file = home / "delivery.lock"
        self.warehouse_dir = home / "warehouse"
        self.warehouse = self.warehouse_dir / "userops.duckdb"
        self.dbt_target = self.warehouse_dir / "dbt_target"
        self.dbt_logs = self.warehouse_dir / "dbt_logs"
        self.models = home / "models"
        self.mlflow_db = self.models / "mlflow.db"
        self.mlflow_artifacts = self.models / "mlflow_artifacts"
        self.quality = home / "quality"
        self.published = home / "published"
        self.published_duckdb = self.published / "marts.duckdb"
        self.published_parquet = self.published / "parquet"
        self.published_exports = self.published / "exports"
        self.docs_site = home / "docs_site"
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
            "create it, or set USEROPS_CONFIG to the directory that is meant",
        )  # fmt: skip
    file = config_dir / "userops.yml"
    document = read_mapping(file) if file.exists() else {}
    for reserved in ("home", "config"):
        if reserved in document:
            raise ConfigError(
                str(file), f"key `{reserved}`", f"the path in the environment variable USEROPS_{reserved.upper()}",
                f"remove `{reserved}` from the file",
            )  # fmt: skip
    for secret in secrets_in(document):
        raise ConfigError(
            str(file), f"key `{secret}`", "secrets in the environment, never in a file",
            f"remove it from the file, put it into {variable(secret)}, and renew it where the file was shared",
        )  # fmt: skip
    variables = _variables()
    try:
        settings = Settings(**{**document, **overrides})
    except ValidationError as error:
        whole = _merged({**document, **overrides}, EnvSettingsSource(Settings)())
        raise config_error(error, file, Settings, whole, variables) from None
    except SettingsError:
        whole_sections = [name for key, name in variables.items() if len(key) == 1]
        raise ConfigError(
            f"environment variable {' or '.join(whole_sections)}", "a text that is no JSON",
            "one variable for each key of a section, such as USEROPS_CHURN__HORIZON_DAYS=60",
            "put section and key, joined by __, into the variable's name",
        ) from None  # fmt: skip
    return settings.model_copy(update={"home": home_dir, "config": config_dir})


def make_home(settings: Settings) -> None:
    """Make USEROPS_HOME where it is missing.

    Raises:
        ConfigError: it cannot be made, or not be written to.
    """
    home, reason = settings.home, "Permission denied"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if os.access(home, os.W_OK | os.X_OK):
            return
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise ConfigError(
        "USEROPS_HOME", f"{home}, where nothing can be written ({reason})", "a directory that this user may write to",
        "correct its owner and rights, or set USEROPS_HOME to another directory",
    )  # fmt: skip


def _variables() -> dict[tuple[int | str, ...], str]:
    """Return the names of the USEROPS_* variables that are set, by the key of the settings that each of them sets.

    Raises:
        ConfigError: a variable sets nothing. Without a word, a mistyped limit would be the default.
    """
    found: dict[tuple[int | str, ...], str] = {}
    for name in (name for name, value in os.environ.items() if name.upper().startswith(_PREFIX) and value):
        key = tuple(name[len(_PREFIX) :].lower().split("__"))
        if key[0] in Settings.model_fields:
            found[key] = name
        elif name not in _NO_SETTINGS and not name.startswith("USEROPS_ENV"):
            close = _nearest_variable(key)
            raise ConfigError(
                f"environment variable {name}", "a name that no setting has",
                f"{_PREFIX}<SECTION>__<KEY> for a key of userops.yml, or {_PREFIX}HOME, {_PREFIX}CONFIG, "
                f"{_PREFIX}LOG_FORMAT",
                f"did you mean {close}?" if close else f"unset {name}",
            )  # fmt: skip
    return found


def _nearest_variable(key: Sequence[str]) -> str | None:
    """Return the variable that was probably meant by one whose section, or name, no setting has."""
    section = difflib.get_close_matches(key[0], Settings.model_fields, n=1)
    if section:
        return variable(".".join([section[0], *key[1:]]))
    dotted = (f"{name}.{inner}" for name, field in Settings.model_fields.items() for inner in _keys(field.annotation))
    close = difflib.get_close_matches(".".join(key), list(dotted), n=1, cutoff=0.75)
    return variable(close[0]) if close else None


def _keys(section: Any) -> list[str]:
    return list(section.model_fields) if isinstance(section, type) and issubclass(section, BaseModel) else []


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `below` with the values of `above` in it or over it, section by section."""
    return dict(below) | {
        key: _merged(below[key], value) if isinstance(value, Mapping) and isinstance(below.get(key), Mapping) else value
        for key, value in above.items()
    }


def _resolve(path: str | Path) -> Path:
    """Relative paths count from the project's root, so that Airflow and a shell agree on them."""
    expanded = Path(path).expanduser()
    return expanded if expanded.is_absolute() else PROJECT_ROOT / expanded
