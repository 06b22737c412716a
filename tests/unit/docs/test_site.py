"""The documentation site asks nobody for anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from userops.docs.site import only_itself
from userops.errors import BuildError


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
