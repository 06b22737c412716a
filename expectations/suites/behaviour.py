"""What is expected of what users do: sessions, active days, daily engagement and paths."""

from __future__ import annotations

from expectations.checks import Check, Suite, between, exists_in, no_rows, where
from expectations.tables import Tables


def suites(tables: Tables) -> list[Suite]:
    """Return the suites of this domain for the tables that are built."""
    users = (
        [exists_in("user_id", tables.sql("dim_users"), "user_id",
                   "every user is in dim_users", "用户都在用户维表中")]
        if tables.has("dim_users") else []
    )  # fmt: skip
    found = tables.suite(
        "fct_sessions", "Sessions", "会话", ["session_key"],
        [
            tables.not_after("session_date"),
            where("ended_at < started_at or duration_seconds < 0", ("started_at", "ended_at", "duration_seconds"),
                  "a session does not end before it starts", "会话结束不早于开始"),
            between("events", "a session has events", "会话至少有一个事件", minimum=1),
            *users,
        ],
    )  # fmt: skip
    found += tables.suite(
        "fct_user_days", "Active days", "用户活跃日", ["user_id", "activity_date"],
        [
            tables.not_after("activity_date"),
            where("activity_events = 0 and orders = 0", ("activity_events", "orders"),
                  "an active day has activity or a purchase", "活跃日至少有一次活跃行为或购买"),
            where("abs(net_revenue - (gross_revenue - discount_amount - refund_amount)) > 0.01",
                  ("gross_revenue", "discount_amount", "refund_amount", "net_revenue"),
                  "net = gross - discount - refund", "净收入 = 原价 - 优惠 - 退款"),
            *users,
            *_active_days_agree(tables),
        ],
    )  # fmt: skip
    found += tables.suite(
        "agg_engagement_daily", "Engagement per day", "每日活跃", ["activity_date", "segment_type", "segment_value"],
        [
            tables.not_after("activity_date"),
            where("dau < 0 or dau > wau or wau > mau", ("dau", "wau", "mau"),
                  "DAU <= WAU <= MAU", "日活 <= 周活 <= 月活"),
            *(
                between(share, f"{share} lies between 0 and 1", f"{share} 在 0 与 1 之间", 0, 1)
                for share in ("stickiness", "bounce_rate", "contribution_rate", "interaction_rate", "paying_rate")
            ),
            where("new_users > dau or paying_users > dau or new_visitors > visitors or visitors > sessions",
                  ("new_users", "paying_users", "new_visitors", "visitors"),
                  "no part is larger than its whole", "部分不大于整体"),
            *_daily_active_users_agree(tables),
            *_daily_money_agrees(tables),
        ],
    )  # fmt: skip
    found += tables.suite(
        "agg_user_paths", "Paths through sessions", "会话路径", ["position", "from_step", "to_step"],
        [
            tables.not_after("window_end"),
            between("sessions", "somebody goes that way", "会话数为正", minimum=1),
            no_rows(
                "with flows as (select position + 1 as position, to_step as step, sessions as sessions_in, "
                "0 as sessions_out from {batch} where to_step not in ('(end)', '(more)') union all "
                "select position, from_step, 0, sessions from {batch} where position > 1) "
                "select position, step, sum(sessions_in) as sessions_in, sum(sessions_out) as sessions_out "
                "from flows group by position, step having sum(sessions_in) <> sum(sessions_out)",
                ("sessions",), "what flows into a step flows out of it", "流入等于流出"),
        ],
    )  # fmt: skip
    return found


def _active_days_agree(tables: Tables) -> list[Check]:
    if not tables.has("dim_users"):
        return []
    return [
        no_rows(
            "with days as (select user_id, count(*) as days from {batch} group by user_id) "
            "select users.user_id, users.active_days, coalesce(days.days, 0) as active_days_here "
            f"from {tables.sql('dim_users')} as users left join days on users.user_id = days.user_id "
            "where users.active_days <> coalesce(days.days, 0)",
            ("active_days",),
            "dim_users counts the same active days",
            "与用户维表的活跃天数一致",
        )
    ]


def _daily_active_users_agree(tables: Tables) -> list[Check]:
    if not tables.has("fct_user_days"):
        return []
    return [
        no_rows(
            "with days as (select activity_date, count(*) as users "
            f"from {tables.sql('fct_user_days')} group by activity_date) "
            "select days.activity_date, engagement.dau, days.users as users_in_user_days "
            "from days left join {batch} as engagement "
            "on days.activity_date = engagement.activity_date and engagement.segment_type = 'all' "
            "where days.users is distinct from engagement.dau",
            ("dau",),
            "the daily active users of everybody are those of fct_user_days",
            "整体日活与用户活跃日表一致",
        )
    ]


def _daily_money_agrees(tables: Tables) -> list[Check]:
    if not tables.has("fct_orders"):
        return []
    return [
        no_rows(
            "with orders as (select order_date, count(*) filter (is_purchase) as orders, sum(net_amount) as revenue "
            f"from {tables.sql('fct_orders')} where user_id is not null and not is_cancelled group by order_date) "
            "select orders.order_date, engagement.orders, orders.orders as orders_placed, engagement.revenue, "
            "orders.revenue as net_amount_of_orders "
            "from orders left join {batch} as engagement "
            "on orders.order_date = engagement.activity_date and engagement.segment_type = 'all' "
            "where orders.orders is distinct from engagement.orders "
            "or orders.revenue is distinct from engagement.revenue",
            ("orders", "revenue"),
            "orders and revenue of a day are those of fct_orders with a known buyer",
            "每日订单数与收入同订单表（已知买家）一致",
        )
    ]
