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
    """Up to the check; ingest and build are run by the end-to-end tests."""
    commands = blocks(page, "bash")[:4]
    assert "userops check app_events" in commands[3]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("USEROPS_")},
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "COLUMNS": "200",
    }
    script = "set -e\n" + "\n".join(commands)
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    proposed = tmp_path / "myshop" / "config" / "sources" / "app_events.yml"
    source = read_mapping(proposed)
    assert source["entity"] == "events"
    assert len(source["ignore"]) == 1  # the personal column
    assert proposed.read_text(encoding="utf-8").count("# CHECK:") == 1
    loaded = next(line.split() for line in done.stdout.splitlines() if line.startswith("  loaded"))
    assert loaded[1] == "300", done.stdout
