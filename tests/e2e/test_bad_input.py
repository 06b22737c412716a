"""Wrong input, as the person who runs a command sees it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from userops.config import PROJECT_ROOT


class TestOneCommandBadInput:
    """What a wrong input looks like to the person who ran the command."""

    def run(self, tmp_path: Path, *arguments: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
        import os

        environment = {**os.environ, "USEROPS_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
        environment["USEROPS_CONFIG"] = str(config or tmp_path / "config")
        return subprocess.run(
            [sys.executable, "-m", "userops.cli", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def test_a_typo_in_a_source_yaml(self, tmp_path):
        shutil.copytree(PROJECT_ROOT / "config", tmp_path / "config")
        file = tmp_path / "config" / "sources" / "shop_orders.yml"
        file.write_text(file.read_text(encoding="utf-8").replace("entity:", "entitty:"), encoding="utf-8")
        done = self.run(tmp_path, "ingest")
        assert done.returncode == 2
        assert "shop_orders.yml" in done.stderr
        assert "did you mean `entity`" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_missing_landing_folder(self, tmp_path):
        done = self.run(tmp_path, "ingest", config=PROJECT_ROOT / "config")
        assert done.returncode == 2
        assert "landing" in done.stderr
        assert "what to do" in done.stderr

    def test_nothing_published_yet(self, tmp_path):
        done = self.run(tmp_path, "show", config=PROJECT_ROOT / "config")
        assert done.returncode == 2
        assert "userops run" in done.stderr
