"""Reasons to refuse a row. A refused row names every rule it breaks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from userops.contracts.entities import ColumnType, Entity
from userops.ingest.sources import Source
from userops.ingest.transform.fields import Field
from userops.ingest.transform.values import disagrees_with_currency, is_one_of
from userops.sqltext import identifier, literal

#: Reason codes that say a value could not be read as its column's type: many of them in a file are type drift.
CONVERSION_CODES = ("bad_timestamp", "bad_type", "id_digits_lost", "bad_currency", "bad_expression")


#: Amounts are decimals of 14 digits before the decimal sign, and so is the product of two of them in the marts.
_LARGEST_AMOUNT = 99_999_999_999_999


@dataclass(frozen=True)
class DateBounds:
    """First and last business date that is let in."""

    first: date
    last: date


@dataclass(frozen=True)
class Money:
    """What amounts may be in.

    Attributes:
        project: currency of amounts without one.
        rated: currencies with an exchange rate; None without a rate table, which lets every currency in.
    """

    project: str
    rated: frozenset[str] | None = None


@dataclass(frozen=True)
class Rule:
    """A reason to refuse a row: SQL test, code, canonical column, SQL of what was found, what was expected."""

    test: str
    code: str
    column: str
    found: str
    expected: str

    @property
    def reason(self) -> str:
        """SQL of the reason as a struct; null for a row that passes."""
        return (
            f"case when {self.test} then {{'code': {literal(self.code)}, 'column': {literal(self.column)}, "
            f"'found': {self.found}, 'expected': {literal(self.expected)}}} end"
        )


def rules_of(contract: Entity, fields: list[Field], source: Source, bounds: DateBounds, money: Money) -> list[Rule]:
    """Return every rule for rows of a source, over the columns of the layer `dated`."""
    rules = []
    if source.filter:
        rules.append(Rule("kept is null", "bad_expression", "", literal("the filter fails on this row"), source.filter))
    for field in fields:
        rules.extend(_field_rules(field, contract, money))
    rules.extend(_currency_rules(fields, money))
    rules.extend(_product_rules(fields))
    if contract.one_of:
        nobody = " and ".join(f"{identifier(name)} is null" for name in contract.one_of)
        expected = f"a value in {' or '.join(contract.one_of)}"
        rules.append(Rule(nobody, "missing_one_of", ", ".join(contract.one_of), literal("no value"), expected))
    times = " or ".join(f"{identifier(name)} is not null" for name in contract.time_columns)
    outside = f"({times}) and event_date not between {literal(bounds.first)} and {literal(bounds.last)}"
    expected = f"a business date from {bounds.first} to {bounds.last}"
    rules.append(Rule(outside, "out_of_range", contract.time_columns[0], "cast(event_date as varchar)", expected))
    return rules


def _field_rules(field: Field, contract: Entity, money: Money) -> list[Rule]:
    name, value, typed = field.column.name, field.value, field.name
    found = f"left(cast({value} as varchar), 100)"
    rules = []
    if _can_fail(field):
        code, expected = _conversion_failure(field)
        rules.append(Rule(f"{value} is not null and {typed} is null", code, name, found, expected))
    present = ""
    if field.mapping.expr is not None:
        present = f"not {field.failed} and "
        told = literal("the expression fails on this row")
        rules.append(Rule(field.failed, "bad_expression", name, told, field.mapping.expr))
    if field.column.required:
        missing = f"{present}{value} is null"
        rules.append(Rule(missing, "missing_required", name, literal("no value"), f"a value in {name}"))
    disagrees = disagrees_with_currency(field, _currency_of_row(contract, money))
    if disagrees is not None:
        expected = "an amount in the row's `currency`, or in the project's where it has none"
        rules.append(Rule(f"{typed} is not null and {disagrees}", "currency_conflict", name, found, expected))
    return rules


def _currency_rules(fields: list[Field], money: Money) -> list[Rule]:
    amounts = [field.name for field in fields if field.column.type is ColumnType.MONEY]
    mapped = any(field.column.name == "currency" for field in fields)
    if money.rated is None or not mapped or not amounts:
        return []
    usable = is_one_of("currency", sorted({money.project, *money.rated}))
    some_amount = " or ".join(f"{name} is not null" for name in amounts)
    test = f"currency is not null and not {usable} and ({some_amount})"
    expected = f"{money.project}, or a currency listed in exchange_rates.csv"
    return [Rule(test, "no_exchange_rate", "currency", "currency", expected)]


def _product_rules(fields: list[Field]) -> list[Rule]:
    if not {"quantity", "unit_price"} <= {field.column.name for field in fields}:
        return []
    test = f"abs(cast(quantity as double) * cast(unit_price as double)) > {_LARGEST_AMOUNT}"
    expected = "a quantity times a price of at most 14 digits before the decimal sign"
    return [Rule(test, "out_of_range", "unit_price", "quantity || ' x ' || unit_price", expected)]


def _currency_of_row(contract: Entity, money: Money) -> str:
    has_currency = any(column.name == "currency" for column in contract.columns)
    return f"coalesce(currency, {literal(money.project)})" if has_currency else literal(money.project)


def _can_fail(field: Field) -> bool:
    return field.column.type is not ColumnType.TEXT or field.column.name in ("event_name", "currency")


def _conversion_failure(field: Field) -> tuple[str, str]:
    if field.column.name == "event_name":
        return "unknown_event", "an event name listed in event_names"
    if field.column.name == "currency":
        return "bad_currency", "an ISO 4217 code of three letters"
    match field.column.type:
        case ColumnType.ID:
            return "id_digits_lost", "an id as text or integer: as a float, or in the form 1.2E+20, it has lost digits"
        case ColumnType.TIMESTAMP | ColumnType.DATE:
            format_ = field.mapping.format
            return "bad_timestamp", f"a time in the format {format_}" if format_ else "an ISO 8601 date or time"
        case ColumnType.MONEY | ColumnType.NUMBER:
            point = field.mapping.decimal or "."
            return (
                "bad_type",
                f"a number of at most 14 digits before the decimal sign `{point}`, thousands well grouped",
            )
        case ColumnType.BOOLEAN:
            return "bad_type", "true or false"
        case _:
            return "bad_type", "a JSON object"
