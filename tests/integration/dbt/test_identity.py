"""Who is who: devices and users over any number of links, hubs, unbound pairs, merged accounts, and what they touch."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import duckdb

FIRST_DAY = date(2024, 1, 1)
IDENTITIES = ("--select", "+dim_identities", "+agg_identity_hubs", "+int_events")
USER_DAYS = ("--select", "+fct_user_days", "+dim_identities")
LIMITS = {"max_users_per_device": 2, "max_devices_per_user": 3, "merge_accounts": False}
MERGE = {**LIMITS, "merge_accounts": True}
WHO = "select id, user_id, link from dim_identities where kind = 'device' order by 1"


def test_a_device_without_a_login_finds_its_user_over_any_number_of_links(lake: Any, warehouse: Any) -> None:
    """a - b - c - d are linked; u1 was seen on a, u2 later on d; e is linked with nothing, watch with a user."""
    lake.add_batch("events", [
        _event("1", 1, anonymous_id="b"), _event("2", 2, anonymous_id="c"), _event("3", 2, anonymous_id="e"),
        _event("4", 3, anonymous_id="a", user_id="u1"), _event("5", 4, anonymous_id="d", user_id="u2"),
        _event("6", 3, anonymous_id="watch"),
    ])  # fmt: skip
    lake.add_batch("identity_links", [
        _link("k1", 3, "a", device="b"), _link("k2", 3, "c", device="b"), _link("k3", None, "c", device="d"),
        _link("k4", 3, "watch", user="u3"),
    ])  # fmt: skip
    warehouse.run(_day(9), *IDENTITIES, identity=LIMITS)
    assert warehouse.query(WHO) == [
        ("a", "u1", "login"), ("b", "u2", "linked"), ("c", "u2", "linked"), ("d", "u2", "login"),
        ("e", "anon:e", "none"), ("watch", "u3", "login"),
    ]  # fmt: skip
    sizes = warehouse.query("select linked_ids, count(*) from dim_identities group by 1 order by 1")
    assert sizes == [(1, 1), (2, 2), (6, 6)], "e; watch and u3; the four devices, u1 and u2"
    credited = warehouse.query("select event_id, user_id, is_identified, is_logged_in from int_events order by 1")
    assert credited == [
        ("1", "u2", True, False), ("2", "u2", True, False), ("3", "anon:e", False, False), ("4", "u1", True, True),
        ("5", "u2", True, True), ("6", "u3", True, False),
    ]  # fmt: skip
    warehouse.run(_day(3), *IDENTITIES, identity=LIMITS)
    assert ("b", "u1", "linked") in warehouse.query(WHO), "on the third day nobody has seen u2 yet"


def test_hubs_are_cut_and_reported(lake: Any, warehouse: Any) -> None:
    """Three users log in on kiosk, robot on four devices: their links join nobody, their own events stay theirs."""
    events = [_event(f"k{n}", n, anonymous_id="kiosk", user_id=f"u{n}") for n in (1, 2, 3)]
    events += [_event(f"r{n}", 5, anonymous_id=f"phone{n}", user_id="robot") for n in (1, 2, 3, 4)]
    events += [_event("a1", 6, anonymous_id="kiosk"), _event("a2", 6, anonymous_id="phone1")]
    events += [_event("a3", 6, anonymous_id="phone2"), _event("p2", 1, anonymous_id="phone2", user_id="u9")]
    lake.add_batch("events", events)
    warehouse.run(_day(9), *IDENTITIES, identity=LIMITS)
    hubs = warehouse.query("select kind, id, linked_kind, links, first_seen_at from agg_identity_hubs order by 1, 2")
    assert hubs == [("device", "kiosk", "user", 3, _moment(1)), ("user", "robot", "device", 4, _moment(5))]
    assert warehouse.query(WHO) == [
        ("kiosk", "anon:kiosk", "hub"), ("phone1", "anon:phone1", "none"), ("phone2", "u9", "login"),
        ("phone3", "anon:phone3", "none"), ("phone4", "anon:phone4", "none"),
    ]  # fmt: skip
    logged_in = warehouse.query("select distinct user_id from int_events where is_logged_in order by 1")
    assert [user for (user,) in logged_in] == ["robot", "u1", "u2", "u3", "u9"]
    ran = warehouse.run(_day(9), "--select", "identity_no_hub_ids", command="test", identity=LIMITS)
    assert {result.node.name: str(result.status) for result in ran}["identity_no_hub_ids"] == "warn"


def test_a_hub_that_becomes_one_gives_its_past_back_on_exactly_its_dates(lake: Any, warehouse: Any) -> None:
    lake.add_batch("events", [
        _event("a", 1, anonymous_id="kiosk"), _event("b", 2, anonymous_id="phone"),
        _event("c", 3, anonymous_id="kiosk", user_id="u1"), _event("d", 4, anonymous_id="phone", user_id="u2"),
    ])  # fmt: skip
    warehouse.run(_day(5), *USER_DAYS, identity=LIMITS)
    assert _user_of(warehouse, "a") == "u1"
    lake.add_batch("events", [_event(f"e{n}", 6, anonymous_id="kiosk", user_id=f"u{n}") for n in (3, 4)])
    warehouse.run(_day(6), *USER_DAYS, identity=LIMITS)
    assert _user_of(warehouse, "a") == "anon:kiosk"
    assert _user_of(warehouse, "c") == "u1", "a login is a login, wherever it happened"
    for model in ("int_events", "fct_sessions", "fct_user_days"):
        assert _rebuilt_dates(warehouse, model) == {_day(1), _day(6)}, model


def test_a_link_that_comes_late_moves_exactly_the_devices_dates(lake: Any, warehouse: Any) -> None:
    lake.add_batch("events", [
        _event("a", 1, anonymous_id="watch"), _event("b", 2, anonymous_id="tv"),
        _event("c", 3, anonymous_id="phone", user_id="u1"), _event("d", 1, anonymous_id="desk", user_id="u2"),
    ])  # fmt: skip
    warehouse.run(_day(5), *USER_DAYS, identity=LIMITS)
    link = lake.add_batch("identity_links", [_link("k", 5, "watch", device="phone")])
    warehouse.run(_day(5), *USER_DAYS, identity=LIMITS)
    assert [_user_of(warehouse, event) for event in "abcd"] == ["u1", "anon:tv", "u1", "u2"]
    assert _rebuilt_dates(warehouse, "fct_user_days") == {_day(1)}
    for model in ("int_events", "fct_sessions", "fct_user_days"):
        of_users = f"select user_id from pipeline_state.rebuilt_dates where model_name = '{model}' and business_date"
        assert warehouse.query(f"{of_users} is not null order by 1") == [("anon:watch",), ("u1",)], model
    lake.retire(link)
    warehouse.run(_day(5), *USER_DAYS, identity=LIMITS)
    assert [_user_of(warehouse, event) for event in "abc"] == ["anon:watch", "anon:tv", "u1"]
    assert _rebuilt_dates(warehouse, "fct_user_days") == {_day(1)}


def test_unbinding_a_pair_gives_the_device_back_on_exactly_its_dates(lake: Any, warehouse: Any) -> None:
    lake.add_batch("events", [
        _event("a", 1, anonymous_id="phone"), _event("b", 2, anonymous_id="phone", user_id="u1"),
        _event("c", 3, anonymous_id="phone", user_id="u2"), _event("d", 4, anonymous_id="tv", user_id="u2"),
        _event("e", 4, anonymous_id="tv"),
    ])  # fmt: skip
    warehouse.run(_day(5), *USER_DAYS, identity=LIMITS)
    assert _user_of(warehouse, "a") == "u2"
    lake.set_control("identity_unbind", [("phone", "u2")])
    warehouse.run(_day(5), *USER_DAYS, identity=LIMITS)
    assert [_user_of(warehouse, event) for event in "abcde"] == ["u1", "u1", "u2", "u2", "u2"]
    assert _rebuilt_dates(warehouse, "int_events") == {_day(1)}
    lake.set_control("identity_unbind", [("phone", "u2"), ("phone", "u1")])
    warehouse.run(_day(5), *USER_DAYS, identity=LIMITS)
    assert _user_of(warehouse, "a") == "anon:phone"


def test_merged_accounts_are_one_user_everywhere_and_apart_again_when_switched_off(lake: Any, warehouse: Any) -> None:
    """u2 and u1 share phone, u1 and u3 share tablet: one person, u2, who was seen first. u4 is somebody else."""
    lake.add_batch("events", [
        _event("a", 1, anonymous_id="phone", user_id="u2"), _event("b", 2, anonymous_id="phone", user_id="u1"),
        _event("c", 3, anonymous_id="tablet", user_id="u1"), _event("d", 4, anonymous_id="tablet", user_id="u3"),
        _event("e", 5, anonymous_id="tablet"), _event("f", 5, anonymous_id="tv", user_id="u4"),
        _event("g", 6, user_id="u5"),
    ])  # fmt: skip
    order = {"order_id": "o1", "user_id": "u3", "order_time": _moment(7), "gross_amount": 10}
    lake.add_batch("orders", [order])
    lake.add_batch("users", [{"user_id": user, "registered_at": _moment(0), "city": user} for user in ("u1", "u2")])
    lake.add_batch("feedback", [{"feedback_id": "f", "user_id": "u1", "feedback_time": _moment(1)}])
    lake.add_batch("campaign_touches", [{"touch_id": "t", "campaign_id": "c", "user_id": "u3"}])
    models = ("--select", "+dim_users", "+dim_identities", "+fct_feedback", "+fct_campaign_touches")
    warehouse.run(_day(9), *models, identity=MERGE)
    credited = "select event_id, user_id from int_events order by 1"
    assert warehouse.query(credited) == [*((event, "u2") for event in "abcde"), ("f", "u4"), ("g", "u5")]
    assert warehouse.query("select user_id from fct_orders") == [("u2",)]
    assert warehouse.query("select user_id, city, orders from dim_users order by 1") == [
        ("u2", "u2", 1), ("u4", None, 0), ("u5", None, 0),
    ]  # fmt: skip
    assert warehouse.query("select user_id from fct_feedback union all from fct_campaign_touches select user_id") == [
        ("u2",), ("u2",),
    ]  # fmt: skip
    assert warehouse.query("select id, user_id, link from dim_identities where kind = 'user' order by 1") == [
        ("u1", "u2", "merged"), ("u2", "u2", "own"), ("u3", "u2", "merged"), ("u4", "u4", "own"), ("u5", "u5", "own"),
    ]  # fmt: skip

    warehouse.run(_day(9), *models, identity=LIMITS)
    assert warehouse.query(credited) == [
        ("a", "u2"), ("b", "u1"), ("c", "u1"), ("d", "u3"), ("e", "u3"), ("f", "u4"), ("g", "u5"),
    ]  # fmt: skip
    assert _rebuilt_dates(warehouse, "int_events") == {_day(2), _day(3), _day(4), _day(5)}
    assert warehouse.query("select user_id from fct_orders") == [("u3",)]
    cities = warehouse.query("select user_id, city from dim_users order by 1")
    assert cities == [("u1", "u1"), ("u2", "u2"), ("u3", None), ("u4", None), ("u5", None)]


def test_churn_features_know_the_links_of_their_own_date_only(lake: Any, warehouse: Any) -> None:
    """Links and hubs that come after D leave every feature at D as it was, and so do accounts merged later."""
    seen_on = _day(20)
    events = [_event(f"a{n}", n, anonymous_id="watch") for n in range(5)]
    events += [_event(f"t{n}", n, anonymous_id="tv") for n in range(5)]
    events += [_event("b", 6, anonymous_id="phone", user_id="u1"), _event("t", 6, anonymous_id="tv", user_id="u2")]
    events += [_event("c", 7, anonymous_id="phone", user_id="u3")]
    lake.add_batch("events", events)
    lake.add_batch("orders", [{"order_id": "o", "user_id": "u1", "order_time": _moment(6), "gross_amount": 10}])
    lake.add_batch("identity_links", [_link("k", 8, "watch", device="phone")])

    def features(merge: bool) -> list[tuple[Any, ...]]:
        warehouse.reset()
        days = [seen_on.isoformat(), _day(40).isoformat()]
        identity = {**MERGE, "max_users_per_device": 9} if merge else LIMITS
        warehouse.run(_day(40), "--select", "+int_churn_features", identity=identity, feature_dates=days)
        return warehouse.query(f"select * from int_churn_features where as_of_date = date '{seen_on}' order by user_id")

    apart, merged = features(merge=False), features(merge=True)
    assert {row[0] for row in apart} == {"u1", "u2", "u3"}
    assert {row[0] for row in merged} == {"u1", "u2"}, "u1 and u3 share phone"

    later = [_event(f"x{n}", 25, anonymous_id="tv", user_id=f"late{n}") for n in range(3)]
    later += [_event("y", 26, anonymous_id="watch", user_id="u2"), _event("z", 26, anonymous_id="phone", user_id="u2")]
    lake.add_batch("events", later)
    lake.add_batch("identity_links", [_link("m", 30, "watch", device="tv"), _link("n", 30, "phone", user="u0")])
    assert features(merge=False) == apart
    assert features(merge=True) == merged


def test_components_of_long_chains_and_many_links_are_found_in_a_few_rounds(warehouse: Any) -> None:
    """A chain of 10,000 links in shuffled order, 200,000 random links, a link told from both ends and one of a device
    with itself, against what a union-find says."""
    sql = warehouse.compiled("int_identity_components")
    connection = duckdb.connect()
    connection.execute(
        """
        create schema main2;
        create table pairs as
        with shuffled as (select i, row_number() over (order by hash(i)) as number from range(10001) as t (i))
        select date '2024-01-01' as as_of_date, 'c' || a.number as anonymous_id, 'device' as linked_kind,
            'c' || b.number as linked_id
        from shuffled as a inner join shuffled as b on b.i = a.i + 1
        union all
        select date '2024-01-01', 'd' || (hash(i) % 150000), 'user', 'u' || (hash(i + 1000000) % 150000)
        from range(200000) as t (i)
        union all
        select date '2024-01-01', one, 'device', other
        from (values ('both', 'ends'), ('ends', 'both'), ('itself', 'itself')) as t (one, other);
        """
    )
    sql = sql.replace('"userops"."main"."int_identity_trusted_links"', "pairs")
    found = dict(connection.execute(f"select node, component from ({sql}) where graph = 'persons'").fetchall())
    links = connection.execute("select 'device:' || anonymous_id, linked_kind || ':' || linked_id from pairs")
    assert found == _smallest_of_components(links.fetchall())
    assert len({found[f"device:c{number}"] for number in range(1, 10_002)}) == 1


def _smallest_of_components(links: list[tuple[str, str]]) -> dict[str, str]:
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for one, other in links:
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    return {node: root(node) for node in parent}


def _user_of(warehouse: Any, event_id: str) -> str:
    ((user,),) = warehouse.query(f"select user_id from int_events where event_id = '{event_id}'")
    return str(user)


def _rebuilt_dates(warehouse: Any, model: str) -> set[date]:
    """Dates the model's latest run rebuilt."""
    return {
        row[0]
        for row in warehouse.query(
            f"select business_date from pipeline_state.rebuilt_dates where model_name = '{model}' "
            "qualify rebuild = max(rebuild) over ()"
        )
    }


def _day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


def _moment(day: int) -> datetime:
    """UTC time of a local (Asia/Shanghai) day: 00:00 local."""
    return datetime(2023, 12, 31, 16) + timedelta(days=day)


def _event(event_id: str, day: int, **columns: Any) -> dict[str, Any]:
    return {"event_id": event_id, "event_time": _moment(day), "event_name": "product_viewed", **columns}


def _link(
    link_id: str, day: int | None, device_id: str, device: str | None = None, user: str | None = None
) -> dict[str, Any]:
    moment = None if day is None else _moment(day)
    return {
        "link_id": link_id, "anonymous_id": device_id, "linked_anonymous_id": device, "linked_user_id": user,
        "link_time": moment,
    }  # fmt: skip
