"""What is expected of identities: every id counts as one user, and a hub joins nobody."""

from __future__ import annotations

from expectations.checks import Suite, between, exists_in, in_set, no_rows, where
from expectations.tables import Tables

KINDS = ("device", "user")
LINKS = ("own", "merged", "login", "linked", "hub", "none")


def suites(tables: Tables) -> list[Suite]:
    """Return the suites of this domain for the tables that are built."""
    found = tables.suite(
        "dim_identities", "Identities", "身份映射", ["kind", "id"],
        [
            in_set("kind", KINDS, "kind is device or user", "ID 类型为 device 或 user"),
            in_set("link", LINKS, "link is one of the known ways", "关联方式为约定的六种之一"),
            where("coalesce(user_id, '') = ''", ("user_id",), "every id counts as a user", "每个 ID 都归到一个用户"),
            where("kind = 'device' and is_hub and user_id <> 'anon:' || id", ("is_hub", "user_id"),
                  "a shared device joins nobody", "共用设备不归到任何用户"),
            between("linked_ids", "a component holds at least the id itself", "连通分量至少包含自身", minimum=1),
            no_rows(
                "select merged.id, merged.user_id from {batch} as merged inner join {batch} as other "
                "on merged.user_id = other.id and other.kind = 'user' "
                "where merged.kind = 'user' and other.user_id <> other.id",
                ("user_id",),
                "a user that others count as counts as itself", "被归并到的用户自身不再被归并"),
        ],
    )  # fmt: skip
    found += tables.suite(
        "agg_identity_hubs", "Hub ids", "枢纽 ID", ["kind", "id", "linked_kind"],
        [
            in_set("kind", KINDS, "kind is device or user", "ID 类型为 device 或 user"),
            between("links", "a hub has links", "枢纽 ID 至少有一个关联", minimum=1),
            *(
                [exists_in("id", tables.sql("dim_identities"), "id",
                           "every hub is an identity", "枢纽 ID 都在身份映射中")]
                if tables.has("dim_identities") else []
            ),
        ],
    )  # fmt: skip
    return found
