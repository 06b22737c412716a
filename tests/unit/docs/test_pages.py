"""The pages that are written from the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.docs.projects import good_manifest, model
from userops.docs.dictionary import dictionary_page, read_glossary
from userops.docs.lineage import lineage_diagram
from userops.docs.pages import check_pages, dictionaries, readmes, write_pages
from userops.docs.project import Project, read_manifest
from userops.errors import ConfigError
from userops.warehouse.publication import PUBLICATION_COLUMNS

GLOSSARY = "| English | 中文 | meaning |\n|---|---|---|\n| business date | 业务日 | day |\n| new | 新手期 | first |\n"
PLACE = "# Title\n<!-- lineage: written by `userops docs lineage` -->\n<!-- lineage: end -->\nrest\n"


@pytest.fixture
def project() -> Project:
    return read_manifest(good_manifest())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "glossary.md").write_text(GLOSSARY, encoding="utf-8")
    for name in ("README.md", "README.zh-CN.md"):
        (tmp_path / name).write_text(PLACE, encoding="utf-8")
    return tmp_path


def test_english_page_has_key_columns_neighbours_and_terms(project: Project) -> None:
    page = dictionary_page(project, read_glossary(GLOSSARY), chinese=False)
    assert "### dim_users\n\nOne row per user; see business date.\n" in page
    assert "- **Key**: `user_id`\n" in page
    assert "- **Built from**: `int_users`\n- **Read by**: [agg_users](#agg_users)\n" in page
    assert "- **Terms**: [business date](glossary.md)\n" in page, "`new` is no term here: it stands without 新手期"
    assert "| `user_id` | varchar | User id. | unique; never null |\n" in page
    assert "| `users` | Users 用户数 | All of them. |\n" in page
    assert "用户表" not in page


def test_chinese_page_has_term_grain_and_definition_in_chinese(project: Project) -> None:
    page = dictionary_page(project, read_glossary(GLOSSARY), chinese=True)
    assert "### dim_users\n\n**用户表**\n\n每个用户一行。\n" in page
    assert "- **主键（每行的粒度）**: `user_id`（用户 ID）\n" in page
    assert "| `user_id` | varchar | 用户 ID |  | 唯一；非空 |\n" in page
    assert "| `orders_per_day` | varchar | 日均订单数 | 订单数÷天数；无活跃日为空 |  |\n" in page
    assert "| `users` | Users 用户数 | 用户数。含访客 |\n" in page
    assert "One row per" not in page


def test_pages_have_the_table_that_publishing_writes(project: Project) -> None:
    english, chinese = (dictionary_page(project, [], chinese=chinese) for chinese in (False, True))
    for name, column in PUBLICATION_COLUMNS.items():
        assert f"| `{name}` | {column.data_type} | " in english
        assert f"| `{name}` | {column.data_type} | " in chinese
    assert "| publication | What is published, and as of which date. | [_publication](#_publication) |\n" in english
    assert "### _publication\n\nOne row per publication, " in english
    assert "### _publication\n\n**本次发布**\n\n每次发布一行" in chinese
    assert "| `model_version` | varchar | 流失模型版本 | 当日名单所用的模型；无评分时为空 |  |\n" in chinese
    assert "| `max_batch_seq` | bigint | 最后入湖批次号 | 尚无入湖时为 0 | 非空 |\n" in chinese


def test_tables_of_one_group_stand_in_one_section(project: Project) -> None:
    manifest = good_manifest()
    manifest["nodes"]["model.userops.export_users"] = model("export_users", "exports", ["model.userops.dim_users"])
    page = dictionary_page(read_manifest(manifest), [], chinese=False)
    tables = ", ".join(f"[{name}](#{name})" for name in ("agg_users", "dim_users", "export_users"))
    assert f"| users | Users. | {tables} |\n" in page


def test_pages_do_not_depend_on_the_order_of_the_manifest(project: Project) -> None:
    manifest = good_manifest()
    manifest["nodes"] = dict(reversed(manifest["nodes"].items()))
    turned = read_manifest(manifest)
    assert dictionary_page(turned, [], chinese=False) == dictionary_page(project, [], chinese=False)
    assert lineage_diagram(turned) == lineage_diagram(project)


def test_picture_leaves_out_what_longer_ways_say() -> None:
    manifest = good_manifest()
    for name, group in (("stg_users", "staging"), ("agg_users", "growth")):
        manifest["nodes"][f"model.userops.{name}"]["config"]["group"] = group
    manifest["nodes"]["model.userops.agg_users"]["depends_on"]["nodes"].append("model.userops.stg_users")
    picture = lineage_diagram(read_manifest(manifest)).splitlines()
    arrows = [line.strip() for line in picture if "->" in line]
    assert arrows == ["n_growth --> n_board", "n_lake --> n_staging", "n_staging --> n_users", "n_users --> n_growth"]
    assert '  n_users["<b>users</b><br/>dim_users"]' in picture


def test_picture_draws_groups_that_read_each_other_with_one_arrow() -> None:
    manifest = good_manifest()
    other = model("dim_orders", "marts/orders", ["model.userops.dim_users"])
    other["config"]["group"] = "orders"
    manifest["nodes"]["model.userops.dim_orders"] = other
    manifest["nodes"]["model.userops.agg_users"]["depends_on"]["nodes"].append("model.userops.dim_orders")
    picture = lineage_diagram(read_manifest(manifest))
    assert "n_orders <--> n_users" in picture
    assert "n_users --> n_orders" not in picture


def test_written_pages_are_up_to_date_until_the_project_changes(project: Project, root: Path) -> None:
    assert {finding.file for finding in check_pages(project, root)} == {
        "docs/data_dictionary.md", "docs/data_dictionary.zh-CN.md", "README.md", "README.zh-CN.md",
    }  # fmt: skip
    assert len(write_pages(dictionaries(project, root))) == 2
    assert len(write_pages(readmes(project, root))) == 2
    assert check_pages(project, root) == []
    assert write_pages(readmes(project, root)) == []
    assert (root / "README.md").read_text(encoding="utf-8").endswith("```\n<!-- lineage: end -->\nrest\n")

    manifest = good_manifest()
    manifest["nodes"]["model.userops.dim_users"]["columns"]["user_id"]["description"] = "Another id. 另一个 ID"
    (finding, _) = check_pages(read_manifest(manifest), root)
    assert str(finding) == "docs/data_dictionary.md: [page] it is out of date; run `userops docs dictionary`"


def test_a_readme_without_a_place_for_the_picture_is_an_error(project: Project, root: Path) -> None:
    (root / "README.md").write_text("# Title\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="put them back"):
        readmes(project, root)
