"""The documentation site asks nobody for anything."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from userops.config import Settings, load_settings
from userops.docs import site
from userops.docs.site import build_site, only_itself
from userops.errors import BuildError


def test_site_is_made_of_the_models_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uncompiled, dbt makes the site of the manifest it finds, which the last run has written."""
    settings = load_settings(home=str(tmp_path))
    manifest = settings.paths.dbt_target / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("as they were", encoding="utf-8")

    def dbt(settings: Settings, as_of: date, command: tuple[str, ...]) -> None:
        if command[0] == "parse":
            manifest.write_text("as they are", encoding="utf-8")
        else:
            assert command[:2] == ("docs", "generate")
            page = f"<html><head></head>{manifest.read_text(encoding='utf-8')}</html>"
            (manifest.parent / "static_index.html").write_text(page, encoding="utf-8")

    monkeypatch.setattr(site, "run_dbt", dbt)
    assert "as they are" in build_site(settings, date(2024, 1, 2)).read_text(encoding="utf-8")


def test_page_may_only_use_what_is_in_it(tmp_path: Path) -> None:
    written = tmp_path / "static_index.html"
    written.write_text("<!doctype html><html><head><title>数据</title></head></html>", encoding="utf-8")
    page = only_itself(written)
    assert page.index("Content-Security-Policy") < page.index("<title>数据</title>")
    assert "http" not in page.replace("http-equiv", "")


def test_another_kind_of_page_is_an_error(tmp_path: Path) -> None:
    written = tmp_path / "static_index.html"
    written.write_text("nothing", encoding="utf-8")
    with pytest.raises(BuildError, match="without <head>"):
        only_itself(written)
