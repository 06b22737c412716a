"""Hostile places: names that are code to somebody, links, folders and pipes."""

from __future__ import annotations

import os
from pathlib import Path

from .corpus import Case, Fate, Refused, Taken, Unseen, good, loaded, text

_ANY = {"files": {"pattern": "*"}}
_DEEP = {"files": {"pattern": "**/*.csv"}}


def _named(name: str, why: str, file: str, fate: Fate | None = None, **source: object) -> Case:
    return Case(name, why, fate or loaded("a"), text(good("a")), file=file, source={**_ANY, **source})


def _outside(path: Path) -> Path:
    """A file beside USEROPS_HOME that looks just like an export."""
    target = path.parents[4] / "outside" / "secret.csv"
    target.write_text(good("secret"))
    return target


def _link_out(path: Path) -> None:
    path.symlink_to(_outside(path))


def _link_out_by_dots(path: Path) -> None:
    target = _outside(path)
    path.symlink_to(os.path.relpath(target, path.parent))


def _folder_link_out(path: Path) -> None:
    path.parent.rmdir()
    path.parent.symlink_to(_outside(path).parent)


def _link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("gone.csv"))


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def _link_within(path: Path) -> None:
    real = path.parents[1] / "archive" / "real.csv"
    real.parent.mkdir()
    real.write_text(good("a"))
    path.symlink_to(real)


def _link_circle(path: Path) -> None:
    """A folder that holds a link to itself, beside a file."""
    path.write_text(good("a"))
    (path.parent / "again").symlink_to(path.parent)


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "inner.csv").write_text(good("inner"))


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _bytes_name(path: Path) -> None:
    Path(os.fsdecode(os.fsencode(path.parent) + b"/events_\xff\xfe.csv")).write_text(good("a"))


CASES = [
    _named("name_of_dots", "two dots within a name lead nowhere", "events_..csv"),
    _named("name_of_dots_first", "a name that begins with two dots", "..events.csv", Unseen()),
    _named("name_with_spaces", "blanks, also at the ends", " events  of 1 May .csv "),
    _named("name_with_quote", "a quote ends an SQL text", "events_o'clock'.csv"),
    _named("name_with_double_quote", "a double quote ends an SQL name", 'events_"x".csv'),
    _named("name_of_sql", "an injection as a name", "x') union select * from read_csv('secret.csv"),
    _named("name_with_newline", "a line end in a name", "events_1\n2.csv"),
    _named("name_with_dash", "a name that reads like an option", "-rf.csv"),
    _named("name_of_glob_signs", "DuckDB reads globs in names", "events_[ab]*?{x}.csv"),
    _named("name_with_glob_and_neighbour", "a name whose glob matches the neighbour", "events_[12].csv"),
    _named("name_with_dollar", "a shell would put something here", "events_$HOME_`id`_$(id).csv"),
    _named("name_with_percent", "a URL would decode it", "events_%2e%2e%2fetc.csv"),
    _named("name_with_backslash", "a separator elsewhere", "events\\..\\1.csv"),
    _named("name_of_emoji", "signs beyond the basic plane", "🛒_😀.csv"),
    _named("name_right_to_left", "a mark that shows vsc.exe as exe.csv", "events_\u202evsc.csv"),
    _named("name_of_zero_width", "signs nobody sees", "events_\u200b\u200d\ufeff.csv"),
    _named("name_of_255_bytes", "as long as a name can be", "e" * 251 + ".csv"),
    _named("name_like_a_partition", "a folder that says event_date", "event_date=1999-01-01/a.csv", **_DEEP),
    _named("name_of_our_files", "a file named like the lake's own", "_schema.parquet"),
    _named("folder_key_is_sql", "a folder whose value is an injection", "uid=o'x; drop table t/a.csv",
           Taken(1, rows=[("a", "o'x; drop table t")]), **_DEEP),
    _named("deep_folders", "sixty folders down", "/".join(["d"] * 60) + "/a.csv", **_DEEP),
    Case("name_not_utf8", "a name of bytes that are no text", loaded("a"), place=_bytes_name, source=_ANY),
    Case("link_out", "a link to a file outside landing/", Refused("outside|link"), place=_link_out),
    Case("link_out_by_dots", "the same through ../..", Refused("outside|link"), place=_link_out_by_dots),
    Case("folder_link_out", "the whole folder is a link that leads out", Refused("outside|link", "failed_source"),
         place=_folder_link_out, file="events_1.csv"),
    Case("link_to_nothing", "the target is gone", Refused("."), place=_link_to_nothing),
    Case("link_to_itself", "a link in a circle", Refused("."), place=_link_to_itself),
    Case("link_within", "a link within landing/ is as good as a file", loaded("a"), place=_link_within),
    Case("link_circle", "a folder in a circle: no file twice, no endless walk", loaded("a"), place=_link_circle,
         source=_DEEP),
    Case("folder_like_a_file", "a folder named events_1.csv", Refused("director|folder"), place=_folder),
    Case("pipe", "reading a pipe would wait for ever", Refused("regular file|pipe"), place=_pipe,
         alone=True, seconds=10),
    Case("hidden_file", "an export in the making", Unseen(), text(good("a")), file=".events_1.csv.part",
         source=_ANY),
    Case("line_end_in_glob", "a pattern that matches nothing is said", Unseen(), text(good("a")), file="other.csv"),
]  # fmt: skip
