"""What the compose file promises somebody who fills in .env; Docker itself is not needed to read it."""

from __future__ import annotations

import re

import yaml

from userops.config import PROJECT_ROOT

COMPOSE = (PROJECT_ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SERVICES = yaml.safe_load(COMPOSE)["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("userops:")}


def test_every_variable_is_explained_where_it_is_to_be_filled_in():
    example = (PROJECT_ROOT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^#? ?([A-Z0-9_]+)=", example, re.MULTILINE))
    used = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", COMPOSE))
    assert used == named


def test_no_secret_has_a_default_that_works():
    asked = re.findall(r"\$\{((?:\w+_)?(?:KEY|SECRET|PASSWORD))(:.)", COMPOSE)
    assert {name for name, _ in asked} > {"AIRFLOW_FERNET_KEY", "AIRFLOW_JWT_SECRET", "AIRFLOW_DB_PASSWORD"}
    optional = "USEROPS_DELIVERY__EMAIL__PASSWORD"  # empty: nothing is mailed
    assert {(name, mark) for name, mark in asked if mark != ":?"} <= {(optional, ":-")}


def test_commands_can_write_both_folders_of_the_host_as_the_user_of_the_image():
    for name, service in OURS.items():
        mounts = {volume.rsplit(":", 1)[-1] for volume in service["volumes"]}
        assert mounts == {"/data", "/config"}, f"{name} mounts both, for writing"
        assert service["build"]["args"] == {"USEROPS_UID": "${USEROPS_UID:-50000}"}
    assert [name for name, service in OURS.items() if service.get("user") == "root"] == ["folders"]


def test_nothing_starts_before_folders_database_and_pool_are_there():
    before = {name: set(service.get("depends_on", {})) for name, service in OURS.items()}
    assert before.pop("folders") == set()
    assert before.pop("airflow-init") == {"folders", "postgres"}
    assert set(map(frozenset, before.values())) == {frozenset({"airflow-init"})}
