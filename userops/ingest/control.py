"""The small tables below lake/control/ that dbt reads.

From the ledger: ingested batches and notes about sources. From the configuration: event taxonomy, the unbind list of
identities, exchange rates.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from userops.config import Settings
from userops.errors import ConfigError
from userops.ingest.control_tables import CONTROL_COLUMNS
from userops.ingest.lake import write_control_table
from userops.ingest.ledger import COMMITTED, RETIRED, Ledger
from userops.ingest.sources import did_you_mean

CATEGORIES = ("view", "search", "interaction", "contribution", "cart", "checkout", "purchase", "system", "other")
_FLAGS = ("is_activity", "is_page_view", "is_interaction", "is_contribution")
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no", "")
#: Beyond these a rate has no digits left as DECIMAL(18,10).
_SMALLEST_RATE, _LARGEST_RATE = 1e-9, 9e7


def write_taxonomy(settings: Settings) -> Path:
    """Write event_taxonomy.parquet from event_taxonomy.csv (no file: no rows) and return its path.

    Raises:
        ConfigError: a column is missing or unknown, a flag is not true/false, a category is unknown, or an event
            is listed twice.
    """
    file = settings.paths.taxonomy_file
    return write_control_table(settings, "event_taxonomy", _read_taxonomy(file) if file.exists() else [])


@dataclass(frozen=True)
class ExchangeRate:
    """From `rate_date` on, one unit of `currency` is worth `rate` units of the project's currency."""

    rate_date: date
    currency: str
    rate: float


def load_exchange_rates(settings: Settings) -> list[ExchangeRate]:
    """Return the rates of exchange_rates.csv by currency and date; none when there is no such file.

    Raises:
        ConfigError: a column is missing or unknown, a date, code or rate is not one, or a currency has two rates for
            one date.
    """
    file = settings.paths.exchange_rates_file
    if not file.exists():
        return []
    first_line: dict[tuple[str, date], str] = {}
    rates = []
    for where, row in csv_rows(file, _columns("exchange_rates")):
        rate = _exchange_rate(where, row, settings.project.currency)
        earlier = first_line.setdefault((rate.currency, rate.rate_date), where)
        if earlier != where:
            raise ConfigError(
                where,
                f"a second rate of {rate.currency} for {rate.rate_date}",
                "one rate per currency and date",
                f"keep one of {earlier} and this line",
            )
        rates.append(rate)
    return sorted(rates, key=lambda rate: (rate.currency, rate.rate_date))


def write_exchange_rates(settings: Settings) -> Path:
    """Write exchange_rates.parquet from exchange_rates.csv (no file: no rows) and return its path.

    Raises:
        ConfigError: exchange_rates.csv cannot be used.
    """
    return write_control_table(settings, "exchange_rates", map(asdict, load_exchange_rates(settings)))


def write_unbind(settings: Settings) -> Path:
    """Write identity_unbind.parquet from identity_unbind.csv (no file: no rows) and return its path.

    Raises:
        ConfigError: a column is missing or unknown, a field is empty, or a pair is listed twice.
    """
    file = settings.paths.identity_unbind_file
    return write_control_table(settings, "identity_unbind", _read_unbind(file) if file.exists() else [])


def write_notes(settings: Settings, ledger: Ledger) -> Path:
    """Write source_notes.parquet, every note of the ledger once, and return its path."""
    rows = {
        (note.as_of_date, note.source, note.step, note.kind, note.severity, note.file_path, note.message)
        for note in ledger.notes()
    }
    names = _columns("source_notes")
    return write_control_table(settings, "source_notes", (dict(zip(names, row, strict=True)) for row in sorted(rows)))


def write_batches(settings: Settings, ledger: Ledger) -> None:
    """Write ingest_batches.parquet and ingest_batch_dates.parquet: committed and retired batches, by batch_seq.

    The dates of a retired batch appear twice: once as they were loaded, and once with the number of its retirement
    and no rows, because what is built from those dates has to be built again.
    """
    batches = ledger.batches(COMMITTED, RETIRED)
    days_of: Mapping[str, Mapping[date, int]] = ledger.dates()
    names = [name for name, _ in CONTROL_COLUMNS["ingest_batches"]]
    write_control_table(
        settings,
        "ingest_batch_dates",
        (
            {
                "batch_id": batch.batch_id,
                "batch_seq": number,
                "entity": batch.entity,
                "source": batch.source,
                "as_of_date": batch.as_of_date,
                "event_date": day,
                "rows_loaded": rows if number == batch.batch_seq else 0,
            }
            for batch in batches
            for number in (batch.batch_seq, batch.retired_seq)
            if number is not None
            for day, rows in days_of.get(batch.batch_id, {}).items()
        ),
    )
    write_control_table(
        settings, "ingest_batches", ({name: getattr(batch, name) for name in names} for batch in batches)
    )


def _columns(name: str) -> list[str]:
    return [column for column, _ in CONTROL_COLUMNS[name]]


def csv_rows(file: Path, names: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (file and line, fields without surrounding blanks) of a configuration table with exactly these columns."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            _check_header(file, list(reader.fieldnames or []), names)
            for row in reader:
                where = f"{file}:{reader.line_num}"
                if None in row or None in row.values():
                    raise ConfigError(
                        where,
                        "more or fewer fields than the header has",
                        f"{len(names)} fields",
                        "mend the commas or quotes of the line",
                    )
                yield where, {name: row[name].strip() for name in names}
    except UnicodeDecodeError as error:
        raise ConfigError(
            str(file), f"bytes that are not UTF-8 ({error.reason})", "UTF-8", "save it as UTF-8"
        ) from None


def _exchange_rate(where: str, row: Mapping[str, str], project_currency: str) -> ExchangeRate:
    try:
        rate_date = date.fromisoformat(row["rate_date"])
    except ValueError:
        raise ConfigError(
            where, f"rate_date `{row['rate_date']}`", "a date such as 2024-01-31", "correct rate_date"
        ) from None
    if not re.fullmatch(r"[A-Z]{3}", row["currency"]):
        raise ConfigError(
            where,
            f"currency `{row['currency']}`",
            "an ISO 4217 code of three capital letters, such as USD",
            "correct the currency",
        )
    try:
        rate = float(row["rate"])
    except ValueError:
        rate = math.nan
    if not _SMALLEST_RATE <= rate <= _LARGEST_RATE:  # also false for nan
        raise ConfigError(
            where,
            f"rate `{row['rate']}`",
            f"units of {project_currency} that one unit is worth: a number above 0, with a decimal point",
            "correct the rate",
        )
    if row["currency"] == project_currency and rate != 1:
        raise ConfigError(
            where,
            f"rate {row['rate']} for {project_currency}, the project's own currency",
            "rates of other currencies",
            "remove the line, or correct `project.currency` in userops.yml",
        )
    return ExchangeRate(rate_date, row["currency"], rate)


def _read_unbind(file: Path) -> list[dict[str, str]]:
    first_line: dict[tuple[str, str], str] = {}
    for where, row in csv_rows(file, _columns("identity_unbind")):
        empty = next((name for name, value in row.items() if not value), None)
        if empty:
            raise ConfigError(where, f"an empty {empty}", "a device id and a user id", "fill it in, or remove the line")
        earlier = first_line.setdefault((row["anonymous_id"], row["user_id"]), where)
        if earlier != where:
            raise ConfigError(where, f"the same pair as {earlier}", "every pair once", "remove one of the two lines")
    return [{"anonymous_id": device, "user_id": user} for device, user in sorted(first_line)]


def _read_taxonomy(file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    first_line: dict[str, str] = {}
    for where, line in csv_rows(file, _columns("event_taxonomy")):
        row = _taxonomy_row(where, line)
        earlier = first_line.setdefault(row["event_name"], where)
        if earlier != where:
            raise ConfigError(
                where, f"`{row['event_name']}`, which {earlier} has too", "every event name once",
                "remove one of the two lines",
            )  # fmt: skip
        rows.append(row)
    return rows


def _check_header(file: Path, header: list[str], names: list[str]) -> None:
    if sorted(header) == sorted(names):
        return
    unknown = [name for name in header if name not in names]
    hint = (
        did_you_mean(unknown[0], names) if unknown else f"add {', '.join(name for name in names if name not in header)}"
    )
    raise ConfigError(
        f"{file}:1",
        f"columns {', '.join(header) or '(none)'}",
        f"the columns {', '.join(names)}",
        hint or f"remove `{unknown[0]}`",
    )


def _taxonomy_row(where: str, row: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = dict(row)
    if not found["event_name"]:
        raise ConfigError(where, "an empty event_name", "the name of an event", "fill it in, or remove the line")
    if found["category"] not in CATEGORIES:
        raise ConfigError(
            where,
            f"category `{found['category']}`",
            f"one of {', '.join(CATEGORIES)}",
            did_you_mean(found["category"], list(CATEGORIES)) or "correct the category",
        )
    for flag in _FLAGS:
        text = found[flag].lower()
        if text not in (*_TRUE, *_FALSE):
            raise ConfigError(where, f"{flag} `{found[flag]}`", "true or false", f"correct {flag}")
        found[flag] = text in _TRUE
    return found
