"""The tables, as SQLAlchemy sees them. Migrations make them; a test holds the two together.

Native ids are text; JSON only where nobody joins or filters on it; sealed columns hold text made by `Vault.seal`.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()
OPEN = sa.text("state = 'open'")
MAIN = sa.text("role = 'main'")
BigInt = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts rows only in its own INTEGER


def _table(name: str, *columns: sa.schema.SchemaItem, rowid: bool = True) -> sa.Table:
    return sa.Table(name, metadata, *columns, sqlite_with_rowid=rowid)


def _text(name: str, *, null: bool = False, pk: bool = False, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null, primary_key=pk, server_default=default)


def _big(name: str, *, null: bool = False, pk: bool = False, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, BigInt, nullable=null, primary_key=pk, server_default=default, autoincrement=False)


def _number(name: str) -> sa.Column[int]:
    """A primary key the database hands out: SQLite's row number, PostgreSQL's identity. Gaps mean nothing."""
    return sa.Column(name, BigInt, sa.Identity(), primary_key=True)


def _time(name: str, *, null: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=null)


meta = _table("meta", _text("key", pk=True), _text("value"))

streams = _table(
    "streams",
    _number("id"),
    _text("connection"),
    _text("resource"),
    _text("cursor", null=True),
    _text("next", null=True),
    _big("seq", default="0"),
    _big("scan", default="0"),
    _time("complete_at", null=True),
    _time("read_at", null=True),
    sa.UniqueConstraint("connection", "resource", name="streams_name"),
)

observations = _table(
    "observations",
    _big("stream", pk=True),
    _text("native", pk=True),
    _big("seq"),
    _text("version", default=""),
    _big("entity_version", default="1"),
    _text("raw_digest", default=""),
    _text("digest"),
    _text("vals", null=True),
    _big("gone", default="0"),
    _time("seen_at"),
    _big("scan", default="0"),
    sa.Index("observations_seq", "stream", "seq"),
    rowid=False,
)

match_keys = _table(
    "match_keys",
    _big("stream", pk=True),
    _text("kind", pk=True),
    _text("value", pk=True),
    _text("native", pk=True),
    sa.Index("match_keys_native", "stream", "native"),
    rowid=False,
)

subjects = _table("subjects", _text("id", pk=True), _text("key"), _time("begun"), rowid=False)

members = _table(
    "members",
    _big("stream", pk=True),
    _text("native", pk=True),
    _text("subject"),
    _text("role"),
    _text("why", default=""),
    _time("begun"),
    sa.Index("members_subject", "subject", "stream"),
    sa.Index(
        "members_one_main",
        "subject",
        "stream",
        unique=True,
        sqlite_where=MAIN,
        postgresql_where=MAIN,
    ),
    rowid=False,
)

flows = _table(
    "flows",
    _text("id", pk=True),
    _text("digest"),
    _text("fields", default="{}"),
    _big("left_seq", default="0"),
    _big("right_seq", default="0"),
    _time("begun", null=True),
    rowid=False,
)

bases = _table(
    "bases",
    _text("flow", pk=True),
    _text("left_native", pk=True),
    _text("right_native", pk=True),
    _text("subject"),
    _text("body"),
    _text("left_digest", default=""),
    _text("right_digest", default=""),
    _big("generation", default="0"),
    sa.Index("bases_right", "flow", "right_native"),
    rowid=False,
)

scans = _table("scans", _big("stream", pk=True), _time("begun"), rowid=False)

flow_ends = _table("flow_ends", _text("flow", pk=True), _big("left_stream"), _big("right_stream"), rowid=False)

reconciled = _table(
    "reconciled", _text("flow", pk=True), _time("at", null=True), _big("wanted", default="0"), rowid=False
)

signed_totals = _table(
    "signed_totals",
    _text("flow", pk=True),
    _text("period", pk=True),
    _time("at"),
    _text("actor"),
    _big("entry"),
    _text("body"),
    rowid=False,
)

due = _table(
    "due",
    _text("flow", pk=True),
    _text("side", pk=True),
    _text("native", pk=True),
    _text("why"),
    _time("at"),
    _time("asked_at"),
    _time("not_before", null=True),
    rowid=False,
)

runs = _table(
    "runs",
    _number("id"),
    _text("flow"),
    _text("trigger"),
    _text("actor"),
    _time("begun"),
    _time("ended", null=True),
    _text("state"),
    _text("counts", default="{}"),
    _text("message", default=""),
)

intents = _table(
    "intents",
    _text("op", pk=True),
    _big("run"),
    _text("flow"),
    _text("kind"),
    _big("stream"),
    _text("side"),
    _text("source_native", null=True),
    _text("target_native", null=True),
    _text("slot"),
    _text("body"),
    _text("state"),
    _time("opened_at"),
    _time("sent_at", null=True),
    _big("tries", default="0"),
    sa.Index("intents_flow", "flow", "state"),
    sa.Index("intents_slot", "stream", "slot", unique=True),
    rowid=False,
)

trail = _table(
    "trail",
    _big("seq", pk=True),
    _big("version"),
    _big("at_us"),
    _text("actor"),
    _big("run", null=True),
    _text("op", null=True),
    _text("kind"),
    _text("subject", null=True),
    _text("data"),
    _text("commitment"),
    _text("hash"),
    sa.Index("trail_subject", "subject", "seq"),
    sa.Index("trail_run", "run", "seq"),
)

trail_head = _table("trail_head", _big("id", pk=True), _big("seq"), _text("hash"))

work = _table(
    "work",
    _number("id"),
    _text("list"),
    _text("flow"),
    _text("side"),
    _text("native"),
    _text("field", default=""),
    _text("state"),
    _text("code"),
    _text("body"),
    _text("answer", null=True),
    _text("op", null=True),
    _big("run", null=True),
    _big("tries", default="0"),
    _time("opened_at"),
    _time("next_at", null=True),
    _time("closed_at", null=True),
    _text("closed_by", null=True),
    sa.Index(
        "work_open",
        "list",
        "flow",
        "side",
        "native",
        "field",
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    ),
    sa.Index("work_flow", "flow", "list", "state"),
    sa.Index("work_record", "flow", "side", "native"),
)

secrets = _table(
    "secrets", _text("name", pk=True), _text("body"), _big("version", default="1"), _time("at"), rowid=False
)

leases = _table(
    "leases", _text("name", pk=True), _text("owner"), _big("fence", default="0"), _time("until"), rowid=False
)

budgets = _table(
    "budgets",
    _text("system", pk=True),
    _text("name", pk=True),
    _text("key", pk=True),
    _big("allowed"),
    _big("used"),
    _time("reset_at"),
    rowid=False,
)

hints = _table(
    "hints",
    _big("stream", pk=True),
    _text("native", pk=True),
    _time("at"),
    _time("not_before", null=True),
    rowid=False,
)

privacy_cases = _table(
    "privacy_cases",
    _number("id"),
    _text("state"),
    _time("at"),
    _text("by"),
    _time("until", null=True),
    _text("reason", default=""),
    _big("left_out", default="0"),
    _time("left_out_at", null=True),
)

suppressions = _table(
    "suppressions",
    _text("kind", pk=True),
    _text("value", pk=True),
    _big("case_id", pk=True),
    _big("stream", default="0"),
    rowid=False,
)

restricted = _table("restricted", _big("stream", pk=True), _text("native", pk=True), _big("case_id"), rowid=False)

blocks = _table(
    "blocks",
    _big("stream", pk=True),
    _text("kind", pk=True),
    _text("value", pk=True),
    _text("native", pk=True),
    sa.Index("blocks_native", "stream", "native"),
    rowid=False,
)

block_positions = _table(
    "block_positions", _big("stream", pk=True), _big("seq", default="0"), _text("kinds", default=""), rowid=False
)

apart = _table(
    "apart",
    _big("one_stream", pk=True),
    _text("one_native", pk=True),
    _big("two_stream", pk=True),
    _text("two_native", pk=True),
    _time("at"),
    _text("by_whom"),
    _text("why"),
    _text("keys", default="[]"),
    sa.Index("apart_two", "two_stream", "two_native"),
    rowid=False,
)

# Documents that are posted together: what they belong to, what was made of them, and what must be made anew. `part` is the posting
# (of that name) a document was first counted in, `again` the latest that a change of it is counted in; `out`: it left.
grouped = _table(
    "grouped",
    _big("stream", pk=True),
    _text("posting", pk=True),
    _text("document", pk=True),
    _big("part", default="0"),
    _big("again", default="0"),
    _big("out", default="0"),
    sa.Index("grouped_document", "stream", "document"),
    rowid=False,
)

postings = _table(
    "postings",
    _big("stream", pk=True),
    _text("posting", pk=True),
    _big("part", pk=True),
    _text("native"),
    _text("sums"),
    _big("posted", default="0"),
    sa.Index("postings_native", "stream", "native", unique=True),
    rowid=False,
)

regroup = _table("regroup", _big("stream", pk=True), _text("posting", pk=True), _text("day", default=""), rowid=False)

needs = _table(
    "needs",
    _text("flow", pk=True),
    _text("side", pk=True),
    _text("native", pk=True),
    _big("stream", pk=True),
    _text("target", pk=True),
    _big("wanted", pk=True),
    _big("met", default="0"),
    sa.Index("needs_target", "stream", "target"),
    rowid=False,
)
