"""Canonical entities of the lake.

Times are UTC without an offset in the stored type; `event_date`, the partition of every entity, is the *business
date*: the local date, in the project's time zone, of the entity's `time_column`. Ids are text, always.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ColumnType(StrEnum):
    """Logical column types; `duckdb` gives the type stored in Parquet."""

    ID = "id"
    TEXT = "text"
    TIMESTAMP = "timestamp"
    DATE = "date"
    MONEY = "money"
    NUMBER = "number"
    BOOLEAN = "boolean"
    JSON = "json"

    @property
    def duckdb(self) -> str:
        """DuckDB type name of the stored column."""
        return {
            ColumnType.ID: "VARCHAR",
            ColumnType.TEXT: "VARCHAR",
            ColumnType.TIMESTAMP: "TIMESTAMP",
            ColumnType.DATE: "DATE",
            ColumnType.MONEY: "DECIMAL(18,4)",
            ColumnType.NUMBER: "DECIMAL(18,4)",
            ColumnType.BOOLEAN: "BOOLEAN",
            ColumnType.JSON: "VARCHAR",
        }[self]


@dataclass(frozen=True)
class Column:
    """One canonical column.

    Attributes:
        required: a row without a value goes to quarantine.
        pii: never leaves the vault; a mapping that names it is refused until the vault exists.
        description: English meaning and unit.
        description_zh: 中文.
    """

    name: str
    type: ColumnType
    description: str
    description_zh: str
    required: bool = False
    pii: bool = False


@dataclass(frozen=True)
class Entity:
    """One canonical entity.

    Attributes:
        key: the column that identifies a row (events, order_items) or an object with versions (orders, users).
        derived_key: when the export has no key column, the key is a hash of the whole row.
        time_columns: the first one with a value gives the business date; with none, 1970-01-01.
        one_of: at least one of these must have a value.
    """

    name: str
    key: str
    derived_key: bool
    time_columns: tuple[str, ...]
    columns: tuple[Column, ...]
    one_of: tuple[str, ...] = ()

    @property
    def column_names(self) -> tuple[str, ...]:
        """Canonical names of the columns that are stored, PII excluded, in order."""
        return tuple(column.name for column in self.stored_columns)

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """The columns the lake holds: all but PII."""
        return tuple(column for column in self.columns if not column.pii)

    def column(self, name: str) -> Column:
        """Return the column `name`.

        Raises:
            KeyError: the entity has no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


#: Columns the pipeline adds to every stored row: (name, DuckDB type, meaning). `event_date` is the Hive partition.
TECHNICAL_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("_batch_id", "VARCHAR", "the ingest batch (one file) that brought the row"),
    ("_source", "VARCHAR", "name of the source YAML"),
    ("_row_number", "BIGINT", "1-based number of the data record in its file"),
    (
        "_row_hash",
        "BIGINT",
        "63-bit hash of the canonical columns: equal rows are equal, and it breaks ties the same way in any order",
    ),
    ("event_date", "DATE", "business date: local date of the time column in the project's time zone"),
)

_ID, _TEXT, _TS, _DATE = ColumnType.ID, ColumnType.TEXT, ColumnType.TIMESTAMP, ColumnType.DATE
_MONEY, _NUMBER, _BOOL, _JSON = ColumnType.MONEY, ColumnType.NUMBER, ColumnType.BOOLEAN, ColumnType.JSON

_PROPERTIES = Column("properties", _JSON, "everything else, as a JSON object", "其余属性（JSON）")

_EVENTS = Entity(
    name="events",
    key="event_id",
    derived_key=True,
    time_columns=("event_time",),
    one_of=("user_id", "anonymous_id"),
    columns=(
        Column(
            "event_id",
            _ID,
            "id of the event; a hash of the row where the export has none",
            "事件 ID；导出中没有时取整行哈希",
        ),
        Column("user_id", _ID, "id of the logged-in user", "登录用户 ID"),
        Column("anonymous_id", _ID, "id of the device or browser before login", "登录前的设备或浏览器 ID"),
        Column("event_time", _TS, "when it happened, UTC", "事件发生时间（UTC）", required=True),
        Column(
            "event_name",
            _TEXT,
            "name of the event after the source's event-name map",
            "事件名（经事件名映射后）",
            required=True,
        ),
        Column("session_id", _ID, "session id given by the export", "导出自带的会话 ID"),
        Column("channel", _TEXT, "channel the visit came through", "渠道"),
        Column("device", _TEXT, "device class", "设备类型"),
        Column("page", _TEXT, "page or screen", "页面"),
        Column("object_id", _ID, "id of the thing acted on (product, article, application)", "行为对象 ID"),
        Column("object_category", _TEXT, "category of the thing acted on", "行为对象类目"),
        Column("value", _MONEY, "monetary or numeric value of the event", "事件数值"),
        Column("currency", _TEXT, "ISO 4217 code of `value`", "币种"),
        _PROPERTIES,
    ),
)

_ORDERS = Entity(
    name="orders",
    key="order_id",
    derived_key=False,
    time_columns=("order_time",),
    columns=(
        Column("order_id", _ID, "id of the order", "订单 ID", required=True),
        Column("user_id", _ID, "id of the buyer", "买家用户 ID"),
        Column("order_time", _TS, "when it was placed, UTC", "下单时间（UTC）", required=True),
        Column(
            "status",
            _TEXT,
            "paid, cancelled, refunded or the shop's own word; `orders.cancelled_statuses` says which mean cancelled",
            "订单状态；哪些表示取消见配置 orders.cancelled_statuses",
        ),
        Column(
            "gross_amount", _MONEY, "sum of the lines before discount, in `currency`", "订单原价金额", required=True
        ),
        Column("discount_amount", _MONEY, "discount granted, not negative, in `currency`", "优惠金额"),
        Column("refund_amount", _MONEY, "money returned, not negative, in `currency`", "退款金额"),
        Column("currency", _TEXT, "ISO 4217 code", "币种"),
        Column("channel", _TEXT, "sales channel", "销售渠道"),
        Column("coupon_code", _TEXT, "coupon used", "优惠券码"),
        Column("seller_id", _ID, "id of the seller", "卖家 ID"),
        Column(
            "updated_at",
            _TS,
            "when this version was written, UTC; the latest version wins",
            "该版本更新时间（UTC），最新者生效",
        ),
        _PROPERTIES,
    ),
)

_ORDER_ITEMS = Entity(
    name="order_items",
    key="line_id",
    derived_key=True,
    time_columns=("order_time",),
    columns=(
        Column(
            "line_id",
            _ID,
            "id of the order line, unique within its order (and its date, where lines have a time); a hash of the row "
            "where the export has none",
            "订单行 ID，在订单内唯一（明细带时间时，在订单与日期内唯一）；没有时取整行哈希",
        ),
        Column("order_id", _ID, "id of the order the line belongs to", "订单 ID", required=True),
        Column("product_id", _ID, "id of the product", "商品 ID", required=True),
        Column("product_name", _TEXT, "name of the product", "商品名称"),
        Column("category", _TEXT, "category of the product", "商品类目"),
        Column("quantity", _NUMBER, "pieces; negative on a return or cancellation", "数量；退货为负", required=True),
        Column("unit_price", _MONEY, "price of one piece before discount, in `currency`", "单价", required=True),
        Column("user_id", _ID, "buyer, for exports that have lines but no orders", "买家（仅有明细无订单时）"),
        Column(
            "order_time",
            _TS,
            "order time, UTC, for exports that have lines but no orders",
            "下单时间（UTC，仅有明细无订单时）",
        ),
        Column("currency", _TEXT, "ISO 4217 code", "币种"),
        Column("channel", _TEXT, "sales channel", "销售渠道"),
        _PROPERTIES,
    ),
)

_USERS = Entity(
    name="users",
    key="user_id",
    derived_key=False,
    time_columns=("updated_at", "registered_at"),
    columns=(
        Column("user_id", _ID, "id of the user", "用户 ID", required=True),
        Column("registered_at", _TS, "when the account was made, UTC", "注册时间（UTC）"),
        Column("gender", _TEXT, "female, male or the export's own word", "性别"),
        Column("birth_date", _DATE, "date of birth", "出生日期"),
        Column("region", _TEXT, "province, state or country", "省份/地区"),
        Column("city", _TEXT, "city", "城市"),
        Column("acquisition_channel", _TEXT, "channel that won the user", "获客渠道"),
        Column("referrer_user_id", _ID, "user who invited this one", "邀请人用户 ID"),
        Column("roles", _TEXT, "comma-separated roles: buyer, seller, author, ...", "角色（逗号分隔）"),
        Column("consent_email", _BOOL, "may be contacted by e-mail", "同意邮件触达"),
        Column("consent_sms", _BOOL, "may be contacted by text message", "同意短信触达"),
        Column("consent_push", _BOOL, "may be contacted by push", "同意推送触达"),
        Column(
            "updated_at",
            _TS,
            "when this version was written, UTC; the latest version wins",
            "该版本更新时间（UTC），最新者生效",
        ),
        _PROPERTIES,
        Column("name", _TEXT, "name of the person", "姓名", pii=True),
        Column("phone", _TEXT, "telephone number", "手机号", pii=True),
        Column("email", _TEXT, "e-mail address", "邮箱", pii=True),
    ),
)

_FEEDBACK = Entity(
    name="feedback",
    key="feedback_id",
    derived_key=True,
    time_columns=("feedback_time",),
    columns=(
        Column("feedback_id", _ID, "id of the rating, survey answer or ticket", "反馈 ID"),
        Column("user_id", _ID, "id of the user", "用户 ID", required=True),
        Column("feedback_time", _TS, "when it was given, UTC", "反馈时间（UTC）", required=True),
        Column("kind", _TEXT, "rating, survey, ticket or complaint", "反馈类型"),
        Column("score", _NUMBER, "score on the export's own scale", "评分"),
        Column("status", _TEXT, "open, closed or the export's own word", "处理状态"),
        Column("object_id", _ID, "id of the thing it is about", "对象 ID"),
        Column("resolved_at", _TS, "when it was resolved, UTC", "解决时间（UTC）"),
        Column(
            "updated_at",
            _TS,
            "when this version was written, UTC; the latest version wins",
            "该版本更新时间（UTC），最新者生效",
        ),
        _PROPERTIES,
    ),
)

_CAMPAIGN_TOUCHES = Entity(
    name="campaign_touches",
    key="touch_id",
    derived_key=True,
    time_columns=("touch_time",),
    columns=(
        Column("touch_id", _ID, "id of the touch", "触达 ID"),
        Column("campaign_id", _ID, "id of the campaign", "活动 ID", required=True),
        Column("user_id", _ID, "id of the user", "用户 ID", required=True),
        Column(
            "touch_time",
            _TS,
            "when it was sent, UTC, in rows of what came of it, too",
            "触达发送时间（UTC），结果行亦填发送时间",
        ),
        Column("channel", _TEXT, "channel of the touch", "触达渠道"),
        Column("variant", _TEXT, "arm of the experiment", "实验分组"),
        Column("outcome", _TEXT, "sent, opened, clicked, converted or the export's own word", "触达结果"),
        _PROPERTIES,
    ),
)

_PRODUCTS = Entity(
    name="products",
    key="product_id",
    derived_key=False,
    time_columns=("updated_at",),
    columns=(
        Column("product_id", _ID, "id of the product", "商品 ID", required=True),
        Column("product_name", _TEXT, "name of the product", "商品名称"),
        Column("category", _TEXT, "category", "类目"),
        Column("unit_price", _MONEY, "list price, in `currency`", "标价"),
        Column("currency", _TEXT, "ISO 4217 code", "币种"),
        Column("seller_id", _ID, "id of the seller", "卖家 ID"),
        Column(
            "updated_at",
            _TS,
            "when this version was written, UTC; the latest version wins",
            "该版本更新时间（UTC），最新者生效",
        ),
        _PROPERTIES,
    ),
)

_IDENTITY_LINKS = Entity(
    name="identity_links",
    key="link_id",
    derived_key=True,
    time_columns=("link_time",),
    columns=(
        Column("link_id", _ID, "id of the link; a hash of the row where the export has none", "关联 ID"),
        Column("anonymous_id", _ID, "one device or browser id", "设备或浏览器 ID", required=True),
        Column("linked_anonymous_id", _ID, "another device or browser id of the same person", "同一人的另一设备 ID"),
        Column("linked_user_id", _ID, "user id of the same person", "同一人的用户 ID"),
        Column("link_time", _TS, "when the two were linked, UTC", "关联时间（UTC）"),
        _PROPERTIES,
    ),
    one_of=("linked_anonymous_id", "linked_user_id"),
)

_OUTREACH = Entity(
    name="outreach",
    key="outreach_id",
    derived_key=True,
    time_columns=("outreach_time",),
    columns=(
        Column(
            "outreach_id",
            _ID,
            "id of the contact or attempt; a hash of the row where the export has none",
            "触达记录 ID；没有时取整行哈希",
        ),
        Column("user_id", _ID, "id of the user", "用户 ID", required=True),
        Column("outreach_time", _TS, "when it was tried, UTC", "触达时间（UTC）", required=True),
        Column("list_name", _TEXT, "churn_warning, winback, or another occasion's own word", "来源名单"),
        Column("list_date", _DATE, "as-of date of the list it was done from", "名单日期"),
        Column("operator_id", _ID, "staff id of who did it, never a name", "经办人工号（不用姓名）"),
        Column("team", _TEXT, "team of the operator", "团队"),
        Column(
            "contacted",
            _BOOL,
            "whether the user was reached out to; false: tried or decided against. Empty counts as true",
            "是否已触达；空视为是",
        ),
        Column("channel", _TEXT, "phone, sms, push, email, wechat, ...", "触达渠道"),
        Column("answered", _BOOL, "whether the user answered", "用户是否回应"),
        Column("offer", _TEXT, "code of what was offered: a coupon, points, nothing", "提供的权益"),
        Column("result", _TEXT, "outcome in the team's own words: interested, refused, ...", "触达结果"),
        Column(
            "updated_at",
            _TS,
            "when this version was written, UTC; the latest version wins",
            "该版本更新时间（UTC），最新者生效",
        ),
        _PROPERTIES,
    ),
)

ENTITIES: dict[str, Entity] = {
    item.name: item
    for item in (
        _EVENTS,
        _ORDERS,
        _ORDER_ITEMS,
        _USERS,
        _FEEDBACK,
        _CAMPAIGN_TOUCHES,
        _PRODUCTS,
        _IDENTITY_LINKS,
        _OUTREACH,
    )
}


def entity(name: str) -> Entity:
    """Return the entity `name`.

    Raises:
        KeyError: there is no such entity.
    """
    return ENTITIES[name]
