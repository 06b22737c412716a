"""What the clean export files say, against each other and against the truth."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta

import duckdb
import pytest

from userops.simulate import SimulationResult


def one(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return int(row[0])


def test_there_is_one_file_per_day_and_kind_and_nothing_else(clean: SimulationResult) -> None:
    names = {file.relative_to(clean.landing).as_posix() for file in clean.landing.rglob("*") if file.is_file()}
    days = [(clean.first_date + timedelta(days=number)).isoformat() for number in range(56)]
    expected = {
        name
        for day in days
        for name in (
            f"events/events_{day}.jsonl.gz",
            f"orders/orders_{day}.csv",
            f"order_items/order_items_{day}.csv.gz",
            f"users/users_{day}.parquet",
        )
    }
    assert names == expected
    assert clean.files == len(expected)


def test_every_line_is_the_documented_json_object(clean: SimulationResult) -> None:
    keys = [
        "id",
        "ts",
        "event",
        "uid",
        "device_id",
        "sid",
        "channel",
        "device",
        "page",
        "item",
        "cat",
        "amount",
        "props",
    ]
    for line in gzip.decompress((clean.landing / "events" / "events_2025-12-31.jsonl.gz").read_bytes()).splitlines():
        record = json.loads(line)
        assert list(record) == keys
        assert record["ts"].endswith("+08:00")
        assert isinstance(record["props"], dict)


def test_counts_are_those_of_the_files(clean: SimulationResult, clean_shop: duckdb.DuckDBPyConnection) -> None:
    assert one(clean_shop, "select count(*) from events") == clean.events
    assert one(clean_shop, "select count(distinct id) from events") == clean.events
    assert one(clean_shop, "select count(distinct order_no) from orders") == clean.orders
    assert one(clean_shop, "select count(*) from order_items") == clean.order_items
    assert one(clean_shop, "select count(*) from users") == clean.user_versions
    assert one(clean_shop, "select count(*) from truth") == clean.users == 1_500


@pytest.mark.parametrize("stream", ["events", "order_items"])
def test_rows_lie_in_the_file_of_their_day(clean_shop: duckdb.DuckDBPyConnection, stream: str) -> None:
    day = "local_time::date" if stream == "events" else "order_time[1:10]"
    assert one(clean_shop, f"select count(*) from {stream} where not contains(file, ({day})::varchar)") == 0


def test_every_paid_order_has_its_pay_event(clean_shop: duckdb.DuckDBPyConnection) -> None:
    strays = one(
        clean_shop,
        """
        with paid as (
            select props ->> 'order_no' as order_no, uid, amount, date_trunc('second', local_time) as second
            from events where event = 'pay'
        ),
        placed as (
            select order_no, uid, total::decimal(18,2) - discount::decimal(18,2) as amount,
                order_time::timestamp as second
            from orders where status = 'paid'
        )
        select count(*) from paid full join placed using (order_no, uid, amount, second)
        where paid.order_no is null or placed.order_no is null
        """,
    )
    assert strays == 0
    assert one(clean_shop, "select count(*) from events where event = 'pay'") > 300


def test_order_totals_are_the_sums_of_their_lines(clean_shop: duckdb.DuckDBPyConnection) -> None:
    wrong = one(
        clean_shop,
        """
        with lines as (
            select order_no, sum(qty::int * price::decimal(18,2)) as total, count(*) as lines,
                max(line_no::int) as last_line
            from order_items group by all
        )
        select count(*) from orders full join lines using (order_no)
        where orders.total::decimal(18,2) is distinct from lines.total or lines.lines <> lines.last_line
        """,
    )
    assert wrong == 0


def test_refunds_and_cancellations_come_as_later_versions(clean_shop: duckdb.DuckDBPyConnection) -> None:
    counts = dict(clean_shop.execute("select status, count(*) from orders group by 1").fetchall())
    assert set(counts) == {"paid", "cancelled", "refunded"}
    bad = one(
        clean_shop,
        """
        select count(*) from orders as later left join orders as placed
            on placed.order_no = later.order_no and placed.status = 'paid' and placed.refund = '0.00'
        where later.status <> 'paid' and not coalesce(
            later.updated_at > placed.updated_at and later.order_time = placed.order_time
            and later.refund::decimal(18,2) between 0.01 and later.total::decimal(18,2) - later.discount::decimal(18,2)
            and contains(later.file, later.updated_at[1:10]), false)
        """,
    )
    assert bad == 0
    assert one(
        clean_shop, "select count(*) from orders where status = 'refunded' and order_time[1:10] < updated_at[1:10]"
    )


def test_ids_are_text_that_no_number_type_can_hold(clean_shop: duckdb.DuckDBPyConnection) -> None:
    assert one(clean_shop, "select count(*) from orders where not regexp_full_match(order_no, '[0-9]{20}')") == 0
    assert one(clean_shop, "select count(*) from orders where try_cast(order_no as bigint) is not null") == 0
    assert one(clean_shop, "select count(*) from users where not regexp_full_match(uid, 'U[0-9]{8}')") == 0


def test_visitors_are_anonymous_until_they_log_in(clean_shop: duckdb.DuckDBPyConnection) -> None:
    clean_shop.execute("""
        create table logins as select sid, min(id) as login_id, min(uid) as uid from events
        where event in ('login', 'signup') group by 1
    """)
    early = one(
        clean_shop, "select count(*) from events join logins using (sid) where (id < login_id) <> (events.uid is null)"
    )
    assert early == 0
    assert one(clean_shop, "select count(*) from logins where uid is null") == 0
    assert one(clean_shop, "select count(*) from events where device_id is null") == 0
    assert (
        one(clean_shop, "select count(*) from events where uid is null and event in ('pay', 'checkout', 'like')") == 0
    )
    share = clean_shop.execute("select avg((uid is null)::int) from events").fetchone()
    assert share is not None
    assert 0.1 < share[0] < 0.5


def test_a_device_belongs_to_one_user(clean_shop: duckdb.DuckDBPyConnection) -> None:
    shared = one(
        clean_shop,
        "select count(*) from (select device_id from events group by 1 having count(distinct uid) > 1)",
    )
    assert shared == 0


def test_nobody_comes_before_signing_up_or_after_dropping_out(clean_shop: duckdb.DuckDBPyConnection) -> None:
    # By device, so that anonymous visits of a known user count as well.
    clean_shop.execute("create table owners as select distinct device_id, uid from events where uid is not null")
    joined = "from events join owners using (device_id) join truth on truth.user_id = owners.uid"
    late = one(clean_shop, f"select count(*) {joined} where local_time::date >= coalesce(drop_out_date, '9999-12-31')")
    assert late == 0
    early = one(clean_shop, f"select count(*) {joined} where events.uid is not null and local_time::date < signup_date")
    assert early == 0
    gone = one(clean_shop, "select count(*) from truth where drop_out_date <= '2025-12-31'")
    assert 200 < gone < 1_200


def test_visits_thin_out_before_the_drop_out(clean_shop: duckdb.DuckDBPyConnection) -> None:
    row = clean_shop.execute("""
        with days as (
            select distinct uid, date_diff('day', local_time::date, drop_out_date) as left_over
            from events join truth on truth.user_id = events.uid
            where drop_out_date between '2025-12-01' and '2025-12-31' and signup_date < '2025-10-20'
        )
        select count(*) filter (left_over <= 10), count(*) filter (left_over between 25 and 34) from days
    """).fetchone()
    assert row is not None
    last_days, before = row
    assert 0 < last_days < 0.75 * before


def test_some_loyal_and_busy_users_are_silent_for_weeks(clean_shop: duckdb.DuckDBPyConnection) -> None:
    silent = one(
        clean_shop,
        """
        with days as (
            select distinct uid, local_time::date as day from events
            join truth on truth.user_id = events.uid and drop_out_date is null and visit_rate > 0.3
        ),
        gaps as (select uid, lead(day) over (partition by uid order by day) - day as gap from days)
        select count(distinct uid) from gaps where gap >= 20
        """,
    )
    # With an even rhythm a gap of 20 days has a probability of about 0.002 per visit at 0.3 visits a day.
    assert silent > 8


def test_weekends_and_evenings_are_busier(clean_shop: duckdb.DuckDBPyConnection) -> None:
    by_weekday = [
        row[0]
        for row in clean_shop.execute(
            "select count(distinct sid) from events group by isodow(local_time) order by isodow(local_time)"
        ).fetchall()
    ]
    assert len(by_weekday) == 7  # eight of each weekday in 56 days
    assert min(by_weekday[5:]) > 1.1 * max(by_weekday[:4])
    evening = one(clean_shop, "select count(*) from events where hour(local_time) in (20, 21)")
    night = one(clean_shop, "select count(*) from events where hour(local_time) in (3, 4)")
    assert evening > 8 * night


def test_purchases_follow_a_funnel(clean_shop: duckdb.DuckDBPyConnection) -> None:
    counts = dict(clean_shop.execute("select event, count(*) from events group by 1").fetchall())
    assert counts["view"] > 5 * counts["cart"] > 5 * counts["checkout"] > 5 * counts["pay"] > 0
    assert set(counts) == {"page", "view", "search", "like", "review", "cart", "checkout", "pay", "login", "signup"}
    for column in ("channel", "device"):
        assert one(clean_shop, f"select count(distinct {column}) from events") >= 4


def test_profiles_hold_no_personal_data_and_change_over_time(clean_shop: duckdb.DuckDBPyConnection) -> None:
    columns = [row[0] for row in clean_shop.execute("describe users").fetchall()]
    assert columns == [
        "uid", "signup_time", "gender", "birthday", "province", "city", "source_channel", "invited_by", "roles",
        "email_ok", "sms_ok", "push_ok", "updated_at", "file",
    ]  # fmt: skip
    assert one(clean_shop, "select count(distinct uid) from users") == 1_500
    repeated = "select uid from users group by 1 having count(*) > 1 and count(distinct updated_at) = count(*)"
    assert one(clean_shop, f"select count(*) from ({repeated})") > 30
    late_signup = "select count(*) from users join truth on user_id = uid where signup_time::date <> signup_date"
    assert one(clean_shop, late_signup) == 0
    assert one(clean_shop, "select count(*) from users where not contains(file, updated_at::date::varchar)") == 0
    inviters = """
        select count(*) from users as guest left join users as host on host.uid = guest.invited_by
        where guest.invited_by is not null and host.signup_time::date >= guest.signup_time::date
    """
    assert one(clean_shop, inviters) == 0


def test_signups_are_at_the_time_of_their_event(clean_shop: duckdb.DuckDBPyConnection) -> None:
    mismatched = one(
        clean_shop,
        """
        with signups as (select uid, local_time from events where event = 'signup'),
        newcomers as (select distinct uid, signup_time from users where signup_time >= '2025-11-06')
        select count(*) from signups full join newcomers on signups.uid = newcomers.uid and local_time = signup_time
        where signups.uid is null or newcomers.uid is null
        """,
    )
    assert mismatched == 0


def test_users_have_rates_of_their_own(clean_shop: duckdb.DuckDBPyConnection) -> None:
    """Who is said to visit often does visit often."""
    row = clean_shop.execute("""
        with seen as (select uid, count(distinct sid) as visits from events group by 1)
        select corr(visit_rate, coalesce(visits, 0)), stddev(visit_rate) / avg(visit_rate)
        from truth left join seen on uid = user_id where drop_out_date is null and signup_date < '2025-11-06'
    """).fetchone()
    assert row is not None
    assert row[0] > 0.8
    assert row[1] > 0.5
