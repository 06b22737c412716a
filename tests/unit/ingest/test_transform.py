"""Value in, value or reason out: what the canonical SQL makes of single values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from userops.contracts.entities import ENTITIES
from userops.ingest.sources import ColumnMapping, FilesSpec, FormatSpec, Source
from userops.ingest.transform import DateBounds, Money, NewColumns, Run, canonical_sql, times, zones

RUN = Run("Asia/Shanghai", DateBounds(date(1990, 1, 1), date(2027, 1, 1)), Money("CNY"))


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as opened:
        opened.execute("set TimeZone = 'UTC'")
        yield opened


class Row(dict[str, Any]):
    """A canonical row; `reasons` has (code, column) of a refused one."""

    reasons: list[tuple[str, str]]


def source_of(columns: dict[str, Any], entity: str, **spec: Any) -> Source:
    return Source(
        source="s",
        entity=entity,
        files=FilesSpec(path="s", pattern="*"),
        format=FormatSpec(type="csv"),
        columns={
            name: ColumnMapping(column=item) if isinstance(item, str) else ColumnMapping(**item)
            for name, item in columns.items()
        },
        **{"timezone": "Asia/Shanghai", **spec},
    )


def canonical_statement(connection: duckdb.DuckDBPyConnection, columns: dict[str, str], entity: str, run: Run) -> str:
    """The statement for text columns, over the `source_rows` that are there."""
    types = dict.fromkeys(columns.values(), "VARCHAR")
    return canonical_sql(connection, source_of(columns, entity), types, run, "source `s`", NewColumns()).rows


def canonical(
    connection: duckdb.DuckDBPyConnection,
    columns: dict[str, Any],
    rows: list[dict[str, Any]],
    *,
    entity: str = "events",
    kinds: dict[str, str] | None = None,
    run: Run = RUN,
    new: NewColumns = NewColumns(),  # noqa: B008
    extras: list[str | None] | None = None,
    odd: str = "true",
    padded: str = "true",
    **spec: Any,
) -> list[Row]:
    """Send source rows through the two statements. Columns are text unless `kinds` says otherwise."""
    source = source_of(columns, entity, **spec)
    names = list(dict.fromkeys(name for row in rows for name in row))
    types = {name: (kinds or {}).get(name, "VARCHAR") for name in names}
    table = pa.table(
        {
            "__userops_record": list(range(1, len(rows) + 1)),
            **{
                f"c{place}": [None if row.get(n) is None else str(row[n]) for row in rows]
                for place, n in enumerate(names)
            },
            "__userops_extras": pa.array(extras or [None] * len(rows), pa.string()),
        }
    )
    connection.register("given_rows", table)
    values = ", ".join(f'cast(c{place} as {types[name]}) as "{name}"' for place, name in enumerate(names))
    connection.execute(
        "create or replace temp table source_rows as select __userops_record, null::bigint as __userops_line, "
        f"null::varchar as __userops_raw, {odd} as __userops_odd, {padded} as __userops_padded, "
        f"__userops_extras, 'f' as _file, {values} "
        "from given_rows"
    )
    sql = canonical_sql(connection, source, types, run, "source `s`", new)
    found = connection.execute(f"select * from ({sql.rows}) order by record_number")
    header = [item[0] for item in found.description or ()]
    results = [Row(zip(header, row, strict=True)) for row in found.fetchall()]
    reasons = dict(connection.execute(f"select record_number, reasons from ({sql.refusals})").fetchall())
    for row in results:
        row.reasons = [(item["code"], item["column"]) for item in reasons.get(row["record_number"], [])]
        assert (row["state"] == "refused") == bool(row.reasons)
    return results


EVENT = {"event_time": "ts", "event_name": "event", "user_id": "uid"}
GOOD = {"ts": "2026-01-05 10:00:00", "event": "view", "uid": "u"}


def one(connection: duckdb.DuckDBPyConnection, column: str, mapping: Any, text: Any, **options: Any) -> Any:
    """The canonical value of one source value, or the codes of the reasons to refuse its row."""
    columns = {**EVENT, column: mapping}
    row = canonical(connection, columns, [{**GOOD, "x": text}], **options)[0]
    return [code for code, _ in row.reasons] if row.reasons else row[column]


def time_of(connection: duckdb.DuckDBPyConnection, text: Any, format_: str | None = None, **options: Any) -> Any:
    mapping = {"column": "x", "format": format_} | ({"anchor": options.pop("anchor")} if "anchor" in options else {})
    return one(connection, "event_time", mapping, text, **options)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-05", datetime(2026, 1, 4, 16)),
        ("2026-1-5 9:05", datetime(2026, 1, 5, 1, 5)),
        ("2026/01/05 10:00:00", datetime(2026, 1, 5, 2)),
        ("  2026-01-05  10:00:00\t", datetime(2026, 1, 5, 2)),
        ("2026-01-05 10:00:00,123", datetime(2026, 1, 5, 2, 0, 0, 123_000)),
        ("2026-01-05T10:00:00.1234569", datetime(2026, 1, 5, 2, 0, 0, 123_456)),
        ("2026-01-05T10:00:00Z", datetime(2026, 1, 5, 10)),
        ("2026-01-05T10:00:00z", datetime(2026, 1, 5, 10)),
        ("2026-01-05 10:00:00 UTC", datetime(2026, 1, 5, 10)),
        ("2026-01-05 10:00:00.123456 UTC", datetime(2026, 1, 5, 10, 0, 0, 123_456)),
        ("2026-01-05 10:00:00 -0500", datetime(2026, 1, 5, 15)),
        ("2026-01-05 10:00:00 +08:00", datetime(2026, 1, 5, 2)),
        ("2026-01-05T10:00:00+05:30", datetime(2026, 1, 5, 4, 30)),
        ("2026-01-05T10:00:00-08", datetime(2026, 1, 5, 18)),
        ("2026-01-05 24:00:00", datetime(2026, 1, 5, 16)),
    ],
)
def test_iso_times(connection, text, utc):
    assert time_of(connection, text) == utc


@pytest.mark.parametrize(
    "text",
    [
        *(
            "when",
            "infinity",
            "epoch",
            "now",
            "today",
            "2026-02-30",
            "2026-13-01",
            "05/01/2026",
            "20260105",
            "1767578400",
        ),
        "2026-01-05 10:00:00 PM",  # a cast to TIMESTAMP would read ten in the morning
        "2026-01-05 10:00:00 Asia/Shanghai",
        "2026-01-05T10:00:00+99:00",
        "2026-01-05T10:00:00+08:75",
        "2026-01-05 10",
        "2026-01-05 25:00:00",
        "2016-12-31T23:59:60Z",  # a leap second
        "2016-12-31 23:59:60",
        "0000-00-00 00:00:00",
        "0000-01-01",
        "-2026-01-05",
        "20260-01-05",
        "2026-01-05 (BC)",
        "2026-01-05Z",
    ],
)
def test_texts_that_are_no_iso_time(connection, text):
    assert time_of(connection, text) == ["bad_timestamp"]


@pytest.mark.parametrize(
    ("format_", "text", "utc"),
    [
        ("epoch_s", "1767578400", datetime(2026, 1, 5, 2)),
        ("epoch_s", "1767578400.25", datetime(2026, 1, 5, 2, 0, 0, 250_000)),
        ("epoch_ms", "1767578400250", datetime(2026, 1, 5, 2, 0, 0, 250_000)),
        ("epoch_us", "1767578400250001", datetime(2026, 1, 5, 2, 0, 0, 250_001)),
        ("epoch_ns", "1767578400250001999", datetime(2026, 1, 5, 2, 0, 0, 250_001)),
        ("%Y%m%d", "20260105", datetime(2026, 1, 4, 16)),
        ("%Y%m%d%H%M%S", "20260105100000", datetime(2026, 1, 5, 2)),
        ("%d/%m/%Y", "5/1/2026", datetime(2026, 1, 4, 16)),
        ("%m/%d/%Y", "1/5/2026", datetime(2026, 1, 4, 16)),
        ("%d/%b/%Y:%H:%M:%S %z", "05/Jan/2026:10:00:00 +0100", datetime(2026, 1, 5, 9)),
        ("%Y-%m-%d %I:%M:%S %p", "2026-01-05 10:00:00 PM", datetime(2026, 1, 5, 14)),
    ],
)
def test_times_with_a_format(connection, format_, text, utc):
    assert time_of(connection, text, format_) == utc


@pytest.mark.parametrize(
    ("format_", "text"),
    [
        ("%Y%m%d", "2026105"),  # 5 October or 15 ... nobody knows
        ("%Y%m%d", "202601055"),
        ("%d/%m/%Y", "13/13/2026"),
        ("%d/%m/%Y", "infinity"),
        ("%m/%d/%Y", "13/01/2026"),
        ("epoch_s", "1_767_578_400"),
        ("epoch_s", "2026-01-05"),
        ("epoch_s", "99999999999999999999999"),
        ("epoch_ms", "nan"),
        ("epoch_us", "9223372036854775807"),  # the year 294247
    ],
)
def test_values_that_do_not_fit_the_format(connection, format_, text):
    assert time_of(connection, text, format_) == ["bad_timestamp"]


@pytest.mark.parametrize(
    ("kind", "format_", "value", "utc"),
    [
        ("BIGINT", "epoch_ns", 1767578400250001999, datetime(2026, 1, 5, 2, 0, 0, 250_001)),
        ("DOUBLE", "epoch_s", 1767578400.5, datetime(2026, 1, 5, 2, 0, 0, 500_000)),
        ("INTEGER", "%Y%m%d", 20260105, datetime(2026, 1, 4, 16)),
        ("DOUBLE", "%Y%m%d", 20260105.0, datetime(2026, 1, 4, 16)),
        ("TIMESTAMP", None, "2026-01-05 10:00:00", datetime(2026, 1, 5, 2)),
        ("TIMESTAMP WITH TIME ZONE", None, "2026-01-05 10:00:00+00", datetime(2026, 1, 5, 10)),
    ],
)
def test_times_of_typed_columns(connection, kind, format_, value, utc):
    assert time_of(connection, value, format_, kinds={"x": kind}) == utc


def test_nanoseconds_before_1970_are_cut_toward_the_past(connection):
    columns = {"user_id": "uid", "registered_at": {"column": "x", "format": "epoch_ns"}}
    rows = [{"uid": "u", "x": "-1"}, {"uid": "u", "x": "-1000"}, {"uid": "u", "x": "-1001"}]
    run = Run("UTC", DateBounds(date(1960, 1, 1), date(2027, 1, 1)), Money("CNY"))
    found = canonical(connection, columns, rows, entity="users", run=run)
    assert [row["registered_at"].microsecond for row in found] == [999_999, 999_999, 999_998]


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("0", datetime(2026, 1, 1)),
        ("31", datetime(2026, 2, 1)),
        ("1.5", datetime(2026, 1, 2, 12)),
        ("-0.25", datetime(2025, 12, 31, 18)),
    ],
)
def test_days_since_an_anchor_are_local(connection, text, local):
    assert time_of(connection, text, "relative_days", anchor="2026-01-01") == local - timedelta(hours=8)


def test_relative_days_that_are_none(connection):
    for text in ("d5", "1e400", "99999999999999999"):
        assert time_of(connection, text, "relative_days", anchor="2026-01-01") == ["bad_timestamp"]


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2025-03-09 01:59:59", datetime(2025, 3, 9, 6, 59, 59)),
        ("2025-03-09 02:30:00", datetime(2025, 3, 9, 7, 30)),  # does not exist: counts as 03:30
        ("2025-03-09 03:30:00", datetime(2025, 3, 9, 7, 30)),
        ("2025-11-02 00:59:59", datetime(2025, 11, 2, 4, 59, 59)),
        ("2025-11-02 01:30:00", datetime(2025, 11, 2, 6, 30)),  # exists twice: the second one
        ("2025-11-02 02:00:00", datetime(2025, 11, 2, 7)),
    ],
)
def test_clocks_that_change(connection, local, utc):
    assert time_of(connection, local, timezone="America/New_York") == utc


@pytest.mark.parametrize(
    "zone", ["America/New_York", "Asia/Shanghai", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"]
)
def test_looked_up_offsets_are_those_of_the_library(connection, zone):
    """Every quarter of an hour of the looked-up years, and some beyond, both ways."""
    to_local, to_utc = zones.local_time(connection, "t", zone), zones.utc_time(connection, "t", zone)
    rows = connection.execute(
        f"""
        select count(*)
        from (select unnest(generate_series(TIMESTAMP '2016-01-01', TIMESTAMP '2032-01-01', interval 15 minute)) as t)
        where {to_local} <> timezone('{zone}', timezone('UTC', t))
            or {to_utc} <> timezone('UTC', timezone('{zone}', t))
        """
    ).fetchall()[0]
    assert rows == (0,)


@given(
    text=st.from_regex(
        r"[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
        r"(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)?)?",
        fullmatch=True,
    )
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_offset_is_told_from_a_date(connection, text):
    assert re.fullmatch(times._ISO, text)
    told = connection.execute(f"select {times._has_offset('t')} from (select $1::varchar as t)", [text]).fetchall()
    assert told == [(re.search(r"(Z|[+-]\d\d(:?\d\d)?)$", text[10:] if ":" in text else "") is not None,)]


@pytest.mark.parametrize(
    "text", ["0001-01-02T00:00:00.000001Z", "1969-12-31T23:59:59.999999+00", "9999-12-30T23:59-14"]
)
def test_moments_with_an_offset_are_exact_at_both_ends_of_time(connection, text):
    (given_, expected) = connection.execute(
        "select make_timestamp(epoch_us(t)), timezone('UTC', t) from (select cast($1 as timestamptz) as t)", [text]
    ).fetchall()[0]
    assert given_ == expected


def test_a_date_is_the_day_it_was_written(connection):
    columns = {"user_id": "uid", "birth_date": "x"}
    texts = ["1990-02-03", "1990/2/3", "1990-02-03T23:30:00-08:00", "1990-02-03 00:30:00"]
    found = canonical(connection, columns, [{"uid": "u", "x": text} for text in texts], entity="users")
    assert {row["birth_date"] for row in found} == {date(1990, 2, 3)}


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("13085.0", "13085"),
        ("-7.00", "-7"),
        ("1.50", "1.50"),
        ("v1.0", "v1.0"),
        ("00042", "00042"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("5e12", "5e12"),  # may well be an id in hexadecimal digits
        ("a+b@c", "a+b@c"),
        (" \u3000u1\xa0", "u1"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("مستخدم", "مستخدم"),
    ],
)
def test_ids(connection, text, id_):
    assert one(connection, "user_id", "x", text) == id_


@pytest.mark.parametrize("text", ["1.2E+20", "1.2e+20", "9e+15", "-1.5E+18", "1.23e20"])
def test_ids_whose_digits_are_lost(connection, text):
    assert one(connection, "session_id", "x", text) == ["id_digits_lost"]


@pytest.mark.parametrize(
    ("kind", "value", "id_"),
    [
        ("HUGEINT", 170141183460469231731687303715884105727, "170141183460469231731687303715884105727"),
        ("UBIGINT", 18446744073709551615, "18446744073709551615"),
        ("DECIMAL(38,0)", 98765432109876543210987654321, "98765432109876543210987654321"),
        ("DECIMAL(20,2)", "13085.00", "13085"),
        ("DOUBLE", 13085.0, "13085"),
        ("DOUBLE", 9007199254740992.0, ["id_digits_lost"]),
        ("FLOAT", 16777216.0, ["id_digits_lost"]),
        ("DOUBLE", "infinity", ["id_digits_lost"]),
    ],
)
def test_ids_of_typed_columns(connection, kind, value, id_):
    assert one(connection, "session_id", "x", value, kinds={"x": kind}) == id_


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.from_regex(r"\A[0-9]{1,40}\Z"), min_size=1, max_size=30))
def test_any_digits_survive_as_an_id(connection, ids):
    rows = [{**GOOD, "uid": text} for text in ids]
    assert [row["user_id"] for row in canonical(connection, EVENT, rows)] == ids


AMOUNTS = [
    ("12", "12"),
    ("-12.50", "-12.5"),
    (".5", "0.5"),
    ("1.5e3", "1500"),
    ("1,234,567.89", "1234567.89"),
    ("1,234", "1234"),
    ("12,34,567.89", "1234567.89"),  # Indian grouping
    ("1 234.50", "1234.5"),
    ("1\u202f234.50", "1234.5"),
    ("1'234.50", "1234.5"),
    ("¥12.50", "12.5"),
    ("￥１２．５０", "12.5"),
    ("１２３", "123"),
    ("12.50元", "12.5"),
    ("CNY 1,234.50", "1234.5"),
    ("12.50 cny", "12.5"),
    ("RMB 5", "5"),
    ("-¥12", "-12"),
    ("¥-12", "-12"),
    ("(12.50)", "-12.5"),
    ("(¥1,234)", "-1234"),
    ("12.50-", "-12.5"),
    ("\u221212", "-12"),
    ("99999999999999.9999", "99999999999999.9999"),
    ("1.23455", "1.2346"),
]


@pytest.mark.parametrize(("text", "value"), AMOUNTS)
def test_amounts(connection, text, value):
    assert one(connection, "value", "x", text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "abc",
            "NaN",
            "inf",
            "-infinity",
            "1e30",
            "0x10",
            "1_000",
            "12 pcs",
            "--5",
            "(-5)",
            "-5-",
            "+-5",
            "1.2.3",
            ".",
        ),
        *("1,23", "12,5", "1234,567", "1,2345", "0,123", "1.234,50", "1,234,56", ",5", "1, 234", "1,234'567"),
        *("¥", "¥¥5", "¥5元", "5 CNY EUR", "99999999999999.99999", "123456789012345"),
    ],
)
def test_texts_that_are_no_amount(connection, text):
    assert one(connection, "value", "x", text) == ["bad_type"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.234,50", "1234.5"), ("12,5", "12.5"), ("1 234,5", "1234.5"), ("-5", "-5"), ("¥ 1.234", "1234"), ("7,", "7")],
)
def test_amounts_with_a_decimal_comma(connection, text, value):
    assert one(connection, "value", {"column": "x", "decimal": ","}, text) == Decimal(value)


@pytest.mark.parametrize("text", ["1,234.50", "1.5", "1.23.456,7", "12.5e3"])
def test_texts_that_are_no_amount_with_a_decimal_comma(connection, text):
    assert one(connection, "value", {"column": "x", "decimal": ","}, text) == ["bad_type"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.decimals(-(10**13), 10**13, places=4), min_size=1, max_size=20),
    st.sampled_from([("{:f}", None), ("{:,.4f}", None), ("¥{:,.4f}", None), ("{:,.4f} CNY", "."), ("eu", ",")]),
)
def test_amounts_survive_every_way_of_writing_them(connection, amounts, style):
    pattern, point = style
    if pattern == "eu":
        texts = [f"{amount:,.4f}".translate(str.maketrans(",.", ".,")) for amount in amounts]
    else:
        texts = [pattern.format(amount).replace("¥-", "-¥") for amount in amounts]
    columns = {**EVENT, "value": {"column": "x", "decimal": point}}
    found = canonical(connection, columns, [{**GOOD, "x": text} for text in texts])
    assert [row["value"] for row in found] == amounts


def test_amounts_round_half_away_from_zero(connection):
    for text in ("0.00005", "-0.00005", "2.71825", "1.00015"):
        expected = Decimal(text).quantize(Decimal("0.0001"), ROUND_HALF_UP)
        assert one(connection, "value", "x", text) == expected


def test_an_amount_may_not_name_another_currency_than_its_row(connection):
    columns = {**EVENT, "value": "x", "currency": "cur"}
    cases = {
        ("€5", "EUR"): None,
        ("€5", "CNY"): "currency_conflict",
        ("€5", None): "currency_conflict",  # the project counts in CNY
        ("$5", "usd"): None,
        ("$5", "AUD"): None,
        ("$5", "EUR"): "currency_conflict",
        ("US$5", "AUD"): "currency_conflict",
        ("EUR 5", "USD"): "currency_conflict",
        ("¥5", "JPY"): None,
        ("5", "JPY"): None,
    }
    rows = [{**GOOD, "x": amount, "cur": currency} for amount, currency in cases]
    found = canonical(connection, columns, rows)
    assert [row.reasons[0][0] if row.reasons else None for row in found] == list(cases.values())


def test_pieces_have_no_currency(connection):
    columns = {"order_id": "o", "product_id": "p", "quantity": "q", "unit_price": "u"}
    row = {"o": "1", "p": "1", "q": "¥5", "u": "5"}
    assert canonical(connection, columns, [row], entity="order_items")[0].reasons == [("bad_type", "quantity")]
    good = canonical(connection, columns, [{**row, "q": "1,000"}], entity="order_items")
    assert good[0]["quantity"] == Decimal(1000)


def test_pieces_times_price_must_fit_an_amount(connection):
    columns = {"order_id": "o", "product_id": "p", "quantity": "q", "unit_price": "u"}
    cases = {
        ("9", "11111111111111"): [],
        ("10", "10000000000000"): [("out_of_range", "unit_price")],
        ("-99999999999999", "99999999999999"): [("out_of_range", "unit_price")],
        ("1", "100000000000000"): [("bad_type", "unit_price")],
    }
    rows = [{"o": "1", "p": "1", "q": pieces, "u": price} for pieces, price in cases]
    found = canonical(connection, columns, rows, entity="order_items")
    reasons = [[reason for reason in row.reasons if reason[0] != "missing_required"] for row in found]
    assert reasons == list(cases.values())


def test_currencies(connection):
    assert one(connection, "currency", "x", " eur ") == "EUR"
    for text in ("yuan", "€", "12", "人民币"):
        assert one(connection, "currency", "x", text) == ["bad_currency"]


def test_a_rate_table_names_the_currencies_that_are_let_in(connection):
    run = Run(RUN.timezone, RUN.bounds, Money("CNY", frozenset({"EUR"})))
    columns = {**EVENT, "value": "x", "currency": "cur"}
    cases = {("5", "CNY"): [], ("5", "EUR"): [], ("5", None): [], (None, "USD"): []}
    cases[("5", "USD")] = [("no_exchange_rate", "currency")]
    found = canonical(connection, columns, [{**GOOD, "x": x, "cur": cur} for x, cur in cases], run=run)
    assert [row.reasons for row in found] == list(cases.values())


def test_rows_hash_the_same_when_the_contract_gets_a_column(connection):
    """A column that is mapped and empty leaves no more trace than one that is not mapped at all."""
    without = canonical(connection, EVENT, [GOOD])[0]
    mapped = canonical(connection, {**EVENT, "page": "x", "value": "y"}, [{**GOOD, "x": "", "y": None}])[0]
    filled = canonical(connection, {**EVENT, "page": "x"}, [{**GOOD, "x": "p"}])[0]
    assert mapped["_row_hash"] == without["_row_hash"] != filled["_row_hash"]
    assert mapped["event_id"] == without["event_id"] != filled["event_id"]


def test_the_row_hash_is_stored_in_lakes_and_must_not_move(connection):
    row = canonical(connection, {**EVENT, "event_id": "id"}, [{**GOOD, "id": "e1"}])[0]
    assert row["_row_hash"] == 4719056177488851653
    assert canonical(connection, EVENT, [GOOD])[0]["event_id"] == "b53cbc5c2e46be9e2548aafb9c32c529"


def test_values_cannot_pass_for_others(connection):
    sign = "\x1f"
    columns = {**EVENT, "page": "p", "session_id": "s", "device": "d"}
    cases = [("a", "b", "c"), (f"a{sign}b", "c", None), ("a", f"b{sign}c", None), (None, "a", f"b{sign}c")]
    cases += [("ab", "c", None), ("a", "bc", None), (None, "abc", None), ("abc", None, None), (None, None, "abc")]
    found = canonical(connection, columns, [{**GOOD, "p": p, "s": s, "d": d} for p, s, d in cases])
    assert len({row["_row_hash"] for row in found}) == len({row["event_id"] for row in found}) == len(cases)


@pytest.mark.parametrize("keys", [("b", "a", 'é"/~'), tuple(f"k{n}" for n in range(150))])
def test_new_json_keys_are_sorted_and_keep_every_digit(connection, keys):
    """Few keys and many take two different ways to the same text."""
    found = tuple(sorted({*keys, "big", "nested", "empty", "none"}))
    extras = json.dumps({"nested": {"z": 1, "y": None}, "big": 0, "empty": "", "none": None, keys[0]: "值"})
    extras = extras.replace('"big": 0', '"big": 12345678901234567890123')
    new = NewColumns(keys=found, found=found)
    rows = canonical(connection, EVENT, [GOOD, GOOD], new=new, extras=[extras, None])
    expected = {"big": 12345678901234567890123, keys[0]: "值", "nested": {"z": 1, "y": None}}
    text = json.dumps(dict(sorted(expected.items())), ensure_ascii=False, separators=(",", ":"))
    assert [row["properties"] for row in rows] == [text, None]


def test_new_columns_join_mapped_properties_which_win(connection):
    new = NewColumns(tabular=(("a", "VARCHAR"), ("zip", "BIGINT")), found=("a", "zip"))
    given = [
        {**GOOD, "props": '{"m": 1, "a": "own"}', "a": "new", "zip": 5},
        {**GOOD, "props": '{"m": 1, "a": "own"}', "a": " ", "zip": None},
        {**GOOD, "props": None, "a": "new", "zip": None},
        {**GOOD, "props": None, "a": None, "zip": None},
    ]
    columns = {**EVENT, "properties": "props"}
    found = canonical(connection, columns, given, kinds={"zip": "BIGINT"}, new=new)
    assert [row["properties"] for row in found] == [
        '{"a":"own","m":1,"zip":5}',
        '{"m":1,"a":"own"}',
        '{"a":"new"}',
        None,
    ]


def test_every_entity_can_be_mapped_column_by_column(connection):
    """The SQL of every column type binds and gives the contract's types."""
    values = {"TIMESTAMP": "2026-01-05", "DATE": "2026-01-05", "DECIMAL(18,4)": "5", "BOOLEAN": "true"}
    for entity in ENTITIES.values():
        columns = {column.name: column.name for column in entity.stored_columns}
        row = {
            column.name: "{}"
            if column.name == "properties"
            else "CNY"
            if column.name == "currency"
            else values.get(column.type.duckdb, "x")
            for column in entity.stored_columns
        }
        assert canonical(connection, columns, [row], entity=entity.name)[0].reasons == []


#: Texts without control characters and wide blanks, as files mostly have them.
ORDINARY = st.text(st.sampled_from(" a.-+1e:TZ/\"'{}中，\u2009\x7f"), max_size=8)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(("ts", "uid", "page", "x", "p"), ORDINARY)), min_size=1))
def test_rows_do_not_depend_on_the_short_way_for_ordinary_texts(connection, rows):
    columns = {**EVENT, "page": "page", "value": "x", "properties": "p", "channel": {"expr": "page || chr(31)"}}
    rows = [{**GOOD, **row, "ts": row["ts"] or GOOD["ts"]} for row in rows]
    short, long = (canonical(connection, columns, rows, odd=odd) for odd in ("false", "true"))
    assert short == long
    assert [row.reasons for row in short] == [row.reasons for row in long]
    trimmed = [{name: text.rstrip(" ") for name, text in row.items()} for row in rows]
    del columns["channel"]  # computed from what is trimmed here
    assert canonical(connection, columns, trimmed, padded="false") == canonical(connection, columns, rows)


def test_a_computed_separator_is_seen_on_the_short_way(connection):
    """Where one value ends and the next begins: nothing but the lengths tells these two rows from each other."""
    columns = {
        **EVENT,
        "page": {"expr": "replace(p, '|', chr(31))"},
        "object_id": {"expr": "replace(o, '|', chr(31))"},
    }
    rows = [{**GOOD, "p": "a|b", "o": "c"}, {**GOOD, "p": "a", "o": "b|c"}]
    first, second = canonical(connection, columns, rows, odd="false")
    assert (first["page"], second["page"]) == ("a\x1fb", "a")
    assert first["_row_hash"] != second["_row_hash"]


def test_rows_keep_the_order_of_the_file():
    """No join in the plan: behind one, two threads give rows as they come."""
    columns = {"order_id": "id", "order_time": "ts", "gross_amount": "amount", "currency": "code", "user_id": "uid"}
    run = Run(RUN.timezone, RUN.bounds, Money("CNY", frozenset(f"{a}{b}X" for a in "ABCDE" for b in "ABCDE")))
    row = {"id": "1", "ts": GOOD["ts"], "amount": "$1.5", "code": "USD", "uid": "u"}
    with duckdb.connect(config={"threads": 2}) as opened:
        canonical(opened, columns, [row], entity="orders", run=run)
        statement = canonical_statement(opened, columns, "orders", run)
        plan = opened.execute(f"explain {statement}").fetchall()[0][1]
    assert "JOIN" not in plan.upper()


def test_flags_are_read_without_a_join(connection):
    columns = {"user_id": "uid", "registered_at": "ts", "consent_email": "flag"}
    row = {"uid": "u", "ts": GOOD["ts"], "flag": "yes"}
    canonical(connection, columns, [row], entity="users")
    plan = connection.execute(f"explain {canonical_statement(connection, columns, 'users', RUN)}").fetchall()[0][1]
    assert "JOIN" not in plan.upper()
