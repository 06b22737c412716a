"""The people: what each of them is like, and on which day each of them leaves for good.

Days are counted from 0, the first day of the simulation; a user who was there before has a negative signup day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from userops.simulate import catalogue
from userops.simulate.arrays import Bools, Floats, Ints
from userops.simulate.options import SimulationOptions

#: Drop-out day of a user who never leaves.
NEVER = np.int64(10**9)

EXISTING_SHARE = 0.62
OLDEST_SIGNUP_DAYS = 720
LOYAL_SHARE = 0.38
MEAN_VISITS_PER_DAY = 0.2
MEAN_PURCHASES_PER_VISIT = 0.085
MEAN_DROP_OUT_DAYS = 115.0
#: Newcomers who try the shop once or twice and never come back.
TRIAL_SHARE = 0.15
#: Users whose visits come in bursts with silent weeks in between: far more of the loyal than of the others, so that
#: silence alone says little about them.
BURSTY_SHARE_LOYAL, BURSTY_SHARE_OTHERS = 0.42, 0.12
HONEYMOON_DAYS, HONEYMOON_FACTOR = 10, 1.6


@dataclass(frozen=True)
class Population:
    """One value per user in every array.

    Attributes:
        signup_day: local day of registration.
        drop_out_day: first day on which the user is gone; NEVER for the loyal. May lie after the simulated period.
        fade_days: for so many days before the drop-out the visits thin out.
        visit_rate: own visits per day, in health.
        purchase_share: own purchases per visit, in health.
        weekend_factor: how much more often the user comes on Saturday and Sunday.
        burst_period, burst_phase: days; period 0 is an even rhythm.
        burst_share: share of the burst period in which the user visits at all.
        category: favourite category. source: acquisition channel. visit_channel: usual way in.
        deal_affinity: 0..1, how much the user waits for discounts.
        devices: device class of the first and the second device, shape (users, 2).
        second_device_share: share of visits from the second device (0: has none).
    """

    signup_day: Ints
    drop_out_day: Ints
    fade_days: Ints
    visit_rate: Floats
    purchase_share: Floats
    weekend_factor: Floats
    burst_period: Ints
    burst_phase: Ints
    burst_share: Floats
    category: Ints
    source: Ints
    visit_channel: Ints
    deal_affinity: Floats
    devices: Ints
    second_device_share: Floats

    def __len__(self) -> int:
        return len(self.signup_day)

    @property
    def loyal(self) -> Bools:
        """Users who never leave."""
        never: Bools = self.drop_out_day == NEVER
        return never

    def health(self, day: int) -> Floats:
        """1 for a user who is well on `day`, falling to 0 over the last `fade_days` before the drop-out."""
        return np.clip((self.drop_out_day - day) / self.fade_days, 0.0, 1.0)

    def expected_visits(self, day: int, weekday: int) -> Floats:
        """Expected visits of each registered user on `day`; 0 up to the signup day and from the drop-out day on."""
        alive = (self.signup_day < day) & (day < self.drop_out_day)
        rate = self.visit_rate * catalogue.WEEKDAY_VISITS[weekday] * (0.15 + 0.85 * self.health(day))
        if weekday >= 5:
            rate = rate * self.weekend_factor
        rate = np.where(day - self.signup_day <= HONEYMOON_DAYS, rate * HONEYMOON_FACTOR, rate)
        return np.where(alive, rate * self._burst_factor(day), 0.0)

    def _burst_factor(self, day: int) -> Floats:
        bursty = self.burst_period > 0
        position = (day + self.burst_phase) % np.maximum(self.burst_period, 1)
        visiting = position < self.burst_share * self.burst_period
        # While it lasts a burst is denser than the user's mean, so that bursty users are not merely rare ones.
        return np.where(bursty, np.where(visiting, 0.8 / np.maximum(self.burst_share, 0.01), 0.0), 1.0)


def make_population(options: SimulationOptions, rng: np.random.Generator) -> Population:
    """Draw the users of a simulation."""
    count = options.users
    source = catalogue.pick(rng, catalogue.SOURCE_SHARE, count)
    category = catalogue.pick(rng, catalogue.CATEGORY_SHARE, count)
    deal_affinity = rng.beta(1.4, 2.2, count)
    signup_day = _signup_days(options, rng)
    loyal = rng.random(count) < LOYAL_SHARE / np.sqrt(catalogue.SOURCE_HAZARD[source])
    drop_out_day = _drop_out_days(rng, signup_day, loyal, _hazard_factor(source, category, deal_affinity))
    bursty = rng.random(count) < np.where(drop_out_day == NEVER, BURSTY_SHARE_LOYAL, BURSTY_SHARE_OTHERS)
    has_second = rng.random(count) < 0.35
    return Population(
        signup_day=signup_day,
        drop_out_day=drop_out_day,
        fade_days=rng.integers(14, 46, count),
        visit_rate=np.clip(rng.gamma(1.3, MEAN_VISITS_PER_DAY / 1.3, count), 0.015, 2.5),
        purchase_share=np.clip(rng.gamma(1.2, MEAN_PURCHASES_PER_VISIT / 1.2, count), 0.002, 0.45),
        weekend_factor=np.exp(rng.normal(0.0, 0.25, count)),
        burst_period=np.where(bursty, rng.integers(36, 76, count), 0),
        burst_phase=rng.integers(0, 76, count),
        burst_share=rng.uniform(0.25, 0.45, count),
        category=category,
        source=source,
        visit_channel=catalogue.pick(rng, catalogue.VISIT_SHARE, count),
        deal_affinity=deal_affinity,
        devices=catalogue.pick(rng, catalogue.DEVICE_SHARE, count * 2).reshape(count, 2),
        second_device_share=np.where(has_second, rng.uniform(0.1, 0.5, count), 0.0),
    )


def _signup_days(options: SimulationOptions, rng: np.random.Generator) -> Ints:
    existing = rng.random(options.users) < EXISTING_SHARE
    before = -1 - (OLDEST_SIGNUP_DAYS * rng.random(options.users) ** 1.5).astype(np.int64)
    weekdays = (options.first_date.weekday() + np.arange(options.days)) % 7
    growth = np.linspace(1.0, 1.4, options.days) * catalogue.WEEKDAY_VISITS[weekdays]
    return np.where(existing, before, catalogue.pick(rng, growth, options.users))


def _hazard_factor(source: Ints, category: Ints, deal_affinity: Floats) -> Floats:
    factor: Floats = catalogue.SOURCE_HAZARD[source] * catalogue.CATEGORY_HAZARD[category]
    return factor * (0.7 + 0.8 * deal_affinity)


def _drop_out_days(rng: np.random.Generator, signup_day: Ints, loyal: Bools, factor: Floats) -> Ints:
    """Exponential lives with a gamma-distributed own hazard, counted from signup or, for older users, from day 0."""
    count = len(signup_day)
    own_hazard = rng.gamma(2.0, 0.5, count) * factor / MEAN_DROP_OUT_DAYS
    life = 1 + rng.exponential(1.0, count) / np.maximum(own_hazard, 1e-6)
    trial = (rng.random(count) < TRIAL_SHARE) & (signup_day >= 0)
    life = np.where(trial, rng.integers(1, 9, count), np.minimum(life, 100_000))
    leaves = np.maximum(signup_day, 0) + life.astype(np.int64)
    return np.where(loyal & ~trial, NEVER, leaves)
