"""`userops list add`: what is said about an id nobody knows, and about a user whom the next list cannot have."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest
from typer.testing import CliRunner

from userops import cli
from userops.config import Settings
from userops.definitions.list_effect import notices_on
from userops.definitions.list_overrides import Decision, load_decisions

#: Of every user of the fixture: last active day, dates of scores. Silences are those on the published date.
USERS = {
    "scored": ("2024-05-20", ["2024-05-29", "2024-05-30"]),
    "scored before": ("2024-05-01", ["2024-05-29"]),
    "silent 29 days": ("2024-05-01", []),
    "silent 30 days": ("2024-04-30", []),
    "silent 365 days": ("2023-05-31", []),
    "silent 366 days": ("2023-05-30", []),
    "never active": (None, []),
}


@pytest.fixture
def settings(instance) -> Settings:
    return instance("project: {timezone: UTC}\nlifecycle: {churned_after_days: 30}\n")


@pytest.fixture
def publish(settings):
    """Return a maker of what is published for 2024-05-30, without some tables; it returns the file."""

    def make(*without: str, scores: bool = True, personal: str = "13812345678"):
        path = settings.paths.published_duckdb
        path.parent.mkdir(parents=True)
        with duckdb.connect(str(path)) as connection:
            connection.execute("create table _publication as select date '2024-05-30' as as_of_date")
            connection.execute("create table dim_users (user_id varchar, last_active_date date, city varchar)")
            connection.execute("create table dim_identities (kind varchar, id varchar, user_id varchar)")
            connection.execute("create table fct_churn_scores (user_id varchar, as_of_date date)")
            for user, (last_active, scored) in USERS.items():
                connection.execute("insert into dim_users values (?, ?, ?)", [user, last_active, personal])
                connection.execute("insert into dim_identities values ('user', ?, ?)", [user, user])
                for day in scored if scores else []:
                    connection.execute("insert into fct_churn_scores values (?, ?)", [user, day])
            connection.execute("insert into dim_identities values ('user', 'second account', 'scored')")
            connection.execute("insert into dim_identities values ('device', 'phone', 'scored')")
            for table in without:
                connection.execute(f"drop table {table}")
        return path

    return make


def decision(user: str, list_name: str = "churn_warning", action: str = "add") -> Decision:
    return Decision(list_name, user, action, date(2024, 5, 30), None, "ann", "")


def found(settings, *args, **kwargs) -> list[str]:
    return [notice.found for notice in notices_on(settings, decision(*args, **kwargs))]


@pytest.mark.parametrize(
    ("user", "list_name", "says"),
    [
        ("scored", "churn_warning", []),
        ("second account", "churn_warning", []),
        ("scored before", "churn_warning", ["no churn score of `scored before` on 2024-05-30"]),
        ("silent 30 days", "churn_warning", ["no churn score of `silent 30 days`"]),
        ("silent 29 days", "winback", []),
        ("silent 30 days", "winback", []),
        ("scored", "winback", ["that `scored` will not be silent for 30 to 365 days on 2024-05-31"]),
        ("silent 365 days", "winback", ["that `silent 365 days` will not be silent"]),
        ("never active", "winback", ["that `never active` will not be silent"]),
        ("scored", "both", []),
        ("silent 30 days", "both", []),
        ("silent 366 days", "both", ["no churn score", "that `silent 366 days` will not be silent"]),
        ("nobody", "both", ["no user `nobody` in the data published for 2024-05-30"]),
        ("phone", "churn_warning", ["no user `phone`"]),
        ("SCORED", "churn_warning", ["no user `SCORED`"]),
    ],
)
def test_who_cannot_be_on_the_next_list(settings, publish, user, list_name, says):
    publish()
    texts = found(settings, user, list_name)
    assert len(texts) == len(says), texts
    assert all(text.startswith(start) for text, start in zip(texts, says, strict=True)), texts


def test_who_is_taken_off_needs_no_score(settings, publish):
    publish()
    assert found(settings, "silent 366 days", action="remove") == []
    assert found(settings, "nobody", action="remove") == ["no user `nobody` in the data published for 2024-05-30"]


def test_before_the_first_scores(settings, publish):
    publish(scores=False)
    assert found(settings, "scored") == ["no churn scores in the data published for 2024-05-30"]


def test_tables_that_are_not_there_yet(settings, publish):
    publish("fct_churn_scores", "dim_identities")
    assert found(settings, "scored") == ["no churn scores in the data published for 2024-05-30"]
    assert found(settings, "silent 30 days", "winback") == []
    assert found(settings, "nobody") == ["no user `nobody` in the data published for 2024-05-30"]


def test_without_users_or_a_date_nothing_is_known(settings, publish):
    assert notices_on(settings, decision("scored")) is None
    publish("dim_users")
    assert notices_on(settings, decision("scored")) is None


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli.app, ["list", *arguments], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_says_so_and_decides_all_the_same(settings, publish):
    path = publish()
    before = path.read_bytes()
    unknown = run("add", "[U]1")
    assert "No effect for now: found no user `[U]1` in the data published for 2024-05-30; expected the id" in unknown
    assert "What to do: correct the id, or leave it" in unknown
    assert "add [U]1 (churn_warning)" in unknown
    unscored = run("add", "silent 366 days")
    assert "found no churn score of `silent 366 days` on 2024-05-30; expected a user the model scores" in unscored
    assert "`userops list add 'silent 366 days' --list winback`" in unscored
    assert "No effect" not in run("add", "scored")
    assert [item.user_id for item in load_decisions(settings)] == ["[U]1", "silent 366 days", "scored"]
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    told = unknown + unscored
    assert "13812345678" not in told
    assert "2023-05" not in told, "when somebody was active is nobody's business here"


def test_the_command_before_anything_is_published(settings):
    assert "not known: nothing is published yet" in run("add", "u1")
    assert not settings.paths.published_duckdb.exists()
    assert not settings.paths.warehouse.exists()
    assert len(load_decisions(settings)) == 1


def test_the_command_while_nobody_can_read(settings, publish):
    path = publish()
    path.write_bytes(b"no database" * 1000)
    assert "cannot be read now" in run("add", "scored")
    assert len(load_decisions(settings)) == 1
