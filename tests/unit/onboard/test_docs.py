"""The page "Bring your own export": its YAMLs are valid, and its first part runs as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from userops.ingest.sources import Source, load_source
from userops.yamlfile import read_mapping

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "docs" / "bring_your_own_export.md", ROOT / "docs" / "bring_your_own_export.zh-CN.md"]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=["en", "zh"])
def test_every_source_on_the_page_is_valid(page, settings):
    sources = blocks(page, "yaml")
    assert len(sources) == 4
    for text in sources:
        file = settings.paths.sources / "example.yml"
        file.write_text(text, encoding="utf-8")
        load_source(file, settings)


def test_every_key_of_a_source_is_explained():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert not [name for name in Source.model_fields if not re.search(rf"\b{name}\b", text)]


@pytest.mark.parametrize("page", PAGES, ids=["en", "zh"])
def test_the_first_steps_run_as_written(page, tmp_path):
    """All but the build, which other tests do; the one edit of step 4 is made in between."""
    commands = blocks(page, "bash")[:5]
    assert "userops ingest" in commands[4]
    commands[4] = commands[4].replace("userops build --as-of 2026-01-31\n", "")
    script = "set -e\n" + "\n".join(commands)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("USEROPS_")},
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "COLUMNS": "200",
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    source = read_mapping(tmp_path / "myshop" / "config" / "sources" / "app_events.yml")
    assert source["entity"] == "events"
    assert len(source["ignore"]) == 1  # the personal column
    checks = (
        (tmp_path / "myshop" / "config" / "sources" / "app_events.yml").read_text(encoding="utf-8").count("# CHECK:")
    )
    assert checks == 1
    committed = [line.split() for line in done.stdout.splitlines() if "app_events-2026-01.csv" in line]
    assert any("committed" in words and "300" in words for words in committed), done.stdout
