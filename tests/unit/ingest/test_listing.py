"""Which files a source has, and when a file is complete: folders of this machine."""

from __future__ import annotations

import os
import time

import pytest

from userops.errors import ConfigError, SourceFileError
from userops.ingest.found import PathPattern, shown_path
from userops.ingest.listing import list_source
from userops.ingest.sources import Source

NEVER_SHOWN = "a-password-that-must-not-be-seen"


def source(**files):
    return Source(
        source="shop",
        entity="events",
        files={"pattern": "*.csv", **({} if "url" in files else {"path": "shop"}), **files},
        format={"type": "csv"},
        columns={"event_name": "event"},
        timezone="UTC",
    )


@pytest.fixture
def settings(instance):
    made = instance()
    (made.paths.landing / "shop").mkdir(parents=True)
    return made


@pytest.fixture
def land(settings):
    def write(relative, content="x\n", age=0.0):
        path = settings.paths.landing / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        then = time.time() - age
        os.utime(path, (then, then))
        return path

    return write


def names(listing):
    return [file.relative for file in listing.files]


# Patterns


@pytest.mark.parametrize(
    ("pattern", "meant", "not_meant"),
    [
        ("*.csv", ["a.csv", "中文 😀.csv"], ["a.csv.gz", "x/a.csv", ".a.csv", "A.CSV"]),
        ("**/*.csv", ["a.csv", "x/a.csv", "x/y/z/a.csv"], ["a.txt", ".x/a.csv", "x/.a.csv"]),
        ("dt=*/part-*.csv", ["dt=2024-01-01/part-0.csv"], ["dt=1/x/part-0.csv", "part-0.csv", "dt=1/other.csv"]),
        ("dt=*/", ["dt=1/anything"], ["dt=1", "dt=1/x/y", "other/x"]),
        ("data/**", ["data/a", "data/x/y"], ["a", "other/a"]),
        ("a/**/b/*.csv", ["a/b/1.csv", "a/x/y/b/1.csv"], ["a/1.csv", "b/1.csv"]),
        ("[ab]?.csv", ["a1.csv", "b2.csv"], ["c1.csv", "a.csv"]),
        (".hidden/*.csv", [".hidden/a.csv"], ["hidden/a.csv"]),
        ("one.csv", ["one.csv"], ["two.csv", "onexcsv"]),
    ],
)
def test_a_pattern_means_these_paths_and_no_others(pattern, meant, not_meant):
    made = PathPattern(pattern)
    assert [path for path in meant + not_meant if made.matches(path)] == meant


@pytest.mark.parametrize(
    ("pattern", "may", "may_not"),
    [
        ("*.csv", [], ["a"]),
        ("dt=2024-*/*.csv", ["dt=2024-01-01"], ["dt=2023-12-31", "dt=2024-01-01/x", "archive"]),
        ("a/**/*.csv", ["a", "a/b", "a/b/c"], ["b", "b/a", "a/.b"]),
        ("**/*.csv", ["a", "a/b"], [".git"]),
    ],
)
def test_only_folders_that_can_hold_files_of_the_pattern_are_entered(pattern, may, may_not):
    made = PathPattern(pattern)
    assert [folder for folder in may + may_not if made.may_hold(folder)] == may


def test_a_folder_that_is_passed_over_holds_no_file_of_the_pattern():
    """The short cut must never lose a file: whatever matches lies in folders that may hold it, all the way down."""
    parts = ["a", "b", "dt=1", ".h"]
    paths = [f"{x}/{y}/{z}" for x in parts for y in parts for z in ["f.csv", "part-1.csv"]]
    paths += [f"{x}/{z}" for x in parts for z in ["f.csv", "part-1.csv"]] + ["f.csv"]
    for pattern in ["*.csv", "**/*.csv", "a/**/*.csv", "*/part-*.csv", "dt=*/", ".h/**", "**/b/*.csv", "*/*/*.csv"]:
        made = PathPattern(pattern)
        for path in filter(made.matches, paths):
            folders = path.split("/")[:-1]
            assert all(made.may_hold("/".join(folders[: depth + 1])) for depth in range(len(folders))), (pattern, path)


def test_two_stars_inside_a_name_are_a_mistake(settings):
    with pytest.raises(ConfigError, match=r"files\.pattern"):
        list_source(settings, source(pattern="a**b.csv"))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("dt=1/a b.csv", "dt=1/a b.csv"),
        ("中文/😀.csv", "中文/😀.csv"),
        ("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd"),
        ("a//b.csv", "a/%/b.csv"),
        ("line\nbreak.csv", "line%0Abreak.csv"),
        ("nul\x00.csv", "nul%00.csv"),
        (os.fsdecode(b"caf\xe9.csv"), "caf%E9.csv"),
    ],
)
def test_paths_are_shown_so_that_they_lead_nowhere_and_can_be_stored(raw, shown):
    assert shown_path(raw) == shown
    shown.encode("utf-8")


# Folders below landing/


def test_files_come_by_path_from_every_matching_folder(settings, land):
    for name in ["shop/dt=2/b.csv", "shop/dt=1/a.csv", "shop/dt=1/note.txt", "shop/other/c.csv", "elsewhere/x.csv"]:
        land(name)
    listing = list_source(settings, source(pattern="dt=*/*.csv"))
    assert names(listing) == ["shop/dt=1/a.csv", "shop/dt=2/b.csv"]
    assert [file.path.read_text() for file in listing.files] == ["x\n", "x\n"]
    assert listing.present == set(names(listing))
    assert (listing.waiting, listing.notes, listing.failures) == ([], [], {})


def test_a_folder_with_a_fitting_name_is_no_file_and_is_told(settings, land):
    land("shop/a.csv/inside.txt")
    listing = list_source(settings, source())
    assert names(listing) == []
    assert "a folder" in str(listing.failures["shop/a.csv"])


def test_a_folder_with_a_fitting_name_is_looked_into_where_the_pattern_goes_deeper(settings, land):
    land("shop/a.csv/part-0.csv")
    listing = list_source(settings, source(pattern="**/*.csv"))
    assert names(listing) == ["shop/a.csv/part-0.csv"]
    assert listing.failures == {}


def test_a_missing_folder_is_an_error_that_names_the_one_meant(settings):
    with pytest.raises(SourceFileError, match="did you mean `shop`"):
        list_source(settings, source(path="shpo"))
    assert names(list_source(settings, source(path="shpo", optional=True))) == []


def test_a_file_in_the_place_of_the_folder_is_an_error_even_when_optional(settings, land):
    land("thing")
    with pytest.raises(SourceFileError, match="a file"):
        list_source(settings, source(path="thing", optional=True))


def test_links_may_lead_around_landing_but_not_out_of_it(settings, land, tmp_path):
    inside = land("drop/inside.csv")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text("x\n")
    shop = settings.paths.landing / "shop"
    (shop / "in.csv").symlink_to(inside)
    (shop / "out.csv").symlink_to(outside / "secret.csv")
    (shop / "nowhere.csv").symlink_to(shop / "gone.csv")
    (shop / "folder").symlink_to(outside)
    (shop / "notes.txt").symlink_to(outside / "secret.csv")
    listing = list_source(settings, source(pattern="**/*.csv"))
    assert names(listing) == ["shop/in.csv"]
    assert set(listing.failures) == {"shop/out.csv", "shop/nowhere.csv", "shop/folder"}
    assert "leads out" in str(listing.failures["shop/folder"])
    assert listing.present == {"shop/in.csv", *listing.failures}


def test_a_source_folder_that_is_a_link_out_of_landing_is_refused(settings, tmp_path):
    (tmp_path / "outside").mkdir()
    (settings.paths.landing / "linked").symlink_to(tmp_path / "outside")
    with pytest.raises(SourceFileError, match="leads out"):
        list_source(settings, source(path="linked"))


def test_landing_itself_may_be_a_link(settings, land, tmp_path):
    land("shop/a.csv")
    settings.paths.landing.rename(tmp_path / "disk2")
    settings.paths.landing.symlink_to(tmp_path / "disk2")
    assert names(list_source(settings, source())) == ["shop/a.csv"]


def test_a_link_that_leads_upwards_has_no_end_but_the_walk_has(settings, land):
    land("shop/x/a.csv")
    (settings.paths.landing / "shop" / "x" / "up").symlink_to(settings.paths.landing / "shop")
    assert names(list_source(settings, source(pattern="**/*.csv"))) == ["shop/x/a.csv"]


def test_what_is_no_regular_file_is_a_failure(settings):
    os.mkfifo(settings.paths.landing / "shop" / "pipe.csv")
    listing = list_source(settings, source())
    assert "no regular file" in str(listing.failures["shop/pipe.csv"])


def test_names_that_are_no_utf8_are_read_and_shown_encoded(settings):
    path = os.fsencode(settings.paths.landing / "shop") + b"/caf\xe9.csv"
    with open(path, "wb") as handle:  # noqa: PTH123 - a name in bytes
        handle.write(b"x\n")
    (file,) = list_source(settings, source()).files
    assert file.relative == "shop/caf%E9.csv"
    assert file.path.read_text() == "x\n"


def test_the_latest_files_only_when_a_sample_is_wanted(settings, land):
    for day in range(1, 6):
        land(f"shop/{day}.csv")
    listing = list_source(settings, source(), latest=2)
    assert names(listing) == ["shop/4.csv", "shop/5.csv"]
    assert len(listing.present) == 5


# Complete files


def test_a_young_file_waits_until_it_has_been_left_alone(settings, land):
    land("shop/old.csv", age=120)
    young = land("shop/young.csv", age=10)
    spec = source(complete={"stable_seconds": 60})
    listing = list_source(settings, spec)
    assert names(listing) == ["shop/old.csv"]
    assert listing.waiting == ["shop/young.csv: changed 10 s ago, taken after 60 s"]
    assert listing.present == {"shop/old.csv", "shop/young.csv"}
    then = time.time() - 61
    os.utime(young, (then, then))
    assert names(list_source(settings, spec)) == ["shop/old.csv", "shop/young.csv"]


def test_a_time_stamp_in_the_future_is_replaced_by_what_runs_have_seen(settings, land):
    file = land("shop/ahead.csv", age=-86400)
    spec = source(complete={"stable_seconds": 1})
    assert names(list_source(settings, spec)) == []
    time.sleep(1.1)
    assert names(list_source(settings, spec)) == ["shop/ahead.csv"]
    ahead = time.time() + 86400
    file.write_text("other\n")
    os.utime(file, (ahead, ahead))
    assert names(list_source(settings, spec)) == []


def test_files_wait_for_the_marker_of_their_own_folder(settings, land):
    land("shop/dt=1/a.csv")
    land("shop/dt=1/_SUCCESS", "")
    land("shop/dt=2/b.csv")
    spec = source(pattern="dt=*/*", complete={"marker": "_SUCCESS"})
    listing = list_source(settings, spec)
    assert names(listing) == ["shop/dt=1/a.csv"]
    assert listing.waiting == ["shop/dt=2/b.csv: no _SUCCESS yet"]
    land("shop/dt=2/_SUCCESS", "")
    assert names(list_source(settings, spec)) == ["shop/dt=1/a.csv", "shop/dt=2/b.csv"]


def test_files_wait_for_the_marker_beside_them(settings, land):
    land("shop/a.csv")
    land("shop/a.csv.done", "")
    land("shop/b.csv")
    land("shop/c.done", "")
    listing = list_source(settings, source(pattern="*", complete={"marker_suffix": ".done"}))
    assert names(listing) == ["shop/a.csv"]
    assert listing.waiting == ["shop/b.csv: no b.csv.done yet"]


def test_every_condition_must_hold(settings, land):
    land("shop/a.csv", age=5)
    land("shop/_SUCCESS", "")
    listing = list_source(settings, source(complete={"marker": "_SUCCESS", "stable_seconds": 60}))
    assert listing.waiting == ["shop/a.csv: changed 5 s ago, taken after 60 s"]


def test_a_success_marker_is_no_data_even_when_nobody_waits_for_it(settings, land):
    land("shop/a.csv")
    land("shop/_SUCCESS", "")
    assert names(list_source(settings, source(pattern="*"))) == ["shop/a.csv"]


# file:// URLs and URLs that cannot be


def test_a_file_url_is_read_where_it_is(settings, tmp_path):
    folder = tmp_path / "NAS share"
    folder.mkdir()
    (folder / "a.csv").write_text("x\n")
    (file,) = list_source(settings, source(url=f"file://{str(folder).replace(' ', '%20')}")).files
    assert file.relative == "shop/a.csv"
    assert file.path == folder / "a.csv"
    assert not settings.paths.fetched.exists()


def test_links_may_not_lead_out_of_the_folder_of_a_file_url(settings, tmp_path):
    (tmp_path / "share").mkdir()
    (tmp_path / "secret.csv").write_text("x\n")
    (tmp_path / "share" / "a.csv").symlink_to(tmp_path / "secret.csv")
    listing = list_source(settings, source(url=f"file://{tmp_path}/share"))
    assert set(listing.failures) == {"shop/a.csv"}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"url": "ftp://host/folder"}, "begins with `ftp://`"),
        ({"url": "file://host/folder"}, "three slashes"),
        ({"url": "s3:///folder"}, "names a bucket"),
        ({"url": f"https://{NEVER_SHOWN}@host/folder"}, "without a user"),
        ({"url": f"https://host/folder?sig={NEVER_SHOWN}"}, "without \\? and #"),
        ({"url": "sftp://host:port/folder"}, "port"),
        ({"url": "file:///x", "connection": "shop"}, "needs none"),
    ],
)
def test_a_url_that_cannot_be_read_is_a_config_error_without_secrets(settings, files, told):
    with pytest.raises(ConfigError, match=told) as caught:
        list_source(settings, source(**files))
    assert NEVER_SHOWN not in str(caught.value)
