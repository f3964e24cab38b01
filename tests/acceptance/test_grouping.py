"""Till tickets posted per day into another administration, over two described APIs: every cent once, and what comes late said."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from koppel.config.workspace_file import FILE
from koppel.engine import grouping, reconcile
from koppel.engine import totals as totals_engine
from koppel.engine.one_pass import Options
from koppel.engine.reasons import CODES
from koppel.model.period import read_period
from koppel.model.problem import SetupError
from koppel.sandbox.host import build
from koppel.testing.trade import DESCRIPTION, Inside, trade

_RESOURCE = """
[resources.{name}]
entity  = "{entity}"
path    = "/api/pagina/{table}"
records = "{table}"
record  = "{word}"
version = "versie"
paging  = {{ style = "page", page = "pagina", size = "aantal", most = 50, total = "totaal", steady = true }}
since   = {{ parameter = "gewijzigd_sinds", field = "gewijzigd", margin = 60 }}
find    = {{ native = {{ path = "/api/pagina/{table}/{{value}}" }}, operation = {{ query = "referentie" }} }}

[resources.{name}.write]
create       = {{ method = "POST", path = "/api/pagina/{table}" }}
update       = {{ method = "PATCH", path = "/api/pagina/{table}/{{id}}" }}
wrapper      = "{word}"
operation_id = "referentie"
if_match     = true
refused      = {{ message = "fout.melding", field = "fout.veld" }}

[resources.{name}.fields]
"""
TICKETS = (
    _RESOURCE.format(name="tickets", entity="invoice", table="bonnen", word="bon")
    + """number         = "nummer"
date           = "datum"
currency       = "valuta"
total          = { field = "totaal", as_number = true }
total_vat      = { field = "btw", as_number = true }
payment_method = "betaalwijze"

[resources.tickets.fields.lines]
field = "regels"

[resources.tickets.fields.lines.parts]
vat        = "btw_soort"
amount     = { field = "bedrag", as_number = true }
vat_amount = { field = "btw", as_number = true }
"""
)
ENTRIES = (
    _RESOURCE.format(name="entries", entity="journal_entry", table="boekingen", word="boeking")
    + """number   = "nummer"
journal  = "dagboek"
date     = "datum"
currency = "valuta"

[resources.entries.fields.lines]
field = "regels"

[resources.entries.fields.lines.parts]
ledger = "rekening"
vat    = "btw_soort"
debit  = { field = "debet", as_number = true }
credit = { field = "credit", as_number = true }
"""
)
FLOW = """koppel = 1
id     = "till"
title  = "Till tickets, posted per day"
entity = "journal_entry"
left   = "crm:tickets"
right  = "shop:entries"
start  = 2026-10-01

[group]
by       = "{by}"
late     = "{late}"
ledgers  = "turnover"
vat      = "vat"
payments = "payments"
{more}

[match]
keys = ["number"]

[create]
right = true

[run]
brakes = {{ first = false }}

[fields]
number   = {{ owner = "left" }}
journal  = {{ owner = "left" }}
date     = {{ owner = "left" }}
currency = {{ owner = "left" }}
lines    = {{ owner = "left" }}

[tables.turnover]
nl-high = "8000"
nl-low  = "8010"

[tables.vat]
nl-high = "1510"
nl-low  = "1511"

[tables.payments]
pin  = "1220"
cash = "1000"
{tables}
"""
JOURNALS = '\n[tables.journals]\npin = "72"\ncash = "71"\n'
RATES = {"nl-high": Decimal("0.21"), "nl-low": Decimal("0.09")}


@pytest.fixture
def made(tmp_path):
    host = build(companies=1, names=["rest"])
    with trade(tmp_path / "books", host=host) as found:
        folder = found.ws.config.path
        (folder / "trade.toml").write_text(DESCRIPTION + TICKETS + ENTRIES, "utf-8")
        for file in (folder / "flows").glob("*.toml"):
            file.unlink()
        assert (folder / FILE).exists()
        yield found


def with_flow(made, *, by="day", late="ask"):
    journal = by == "journal"
    more = 'journals = "journals"' if journal else ""
    text = FLOW.format(by=by, late=late, more=more, tables=JOURNALS if journal else "")
    (made.ws.config.path / "flows" / "till.toml").write_text(text, "utf-8")
    made.reopen()
    assert isinstance(made.ws.transport, Inside)
    return made


def ticket(made, number, day, method="pin", **lines):
    """A ticket with its lines: VAT meaning and amount without VAT."""
    rows = []
    for meaning, amount in lines.items():
        name, net = meaning.replace("_", "-"), Decimal(amount)
        rows.append(
            {"btw_soort": name, "bedrag": float(net), "btw": float(round(net * RATES.get(name, Decimal(0)), 2))}
        )
    total = sum(Decimal(str(row["bedrag"])) + Decimal(str(row["btw"])) for row in rows)
    vat = sum(Decimal(str(row["btw"])) for row in rows)
    return made.add(
        "crm", "tickets", nummer=f"B{number}", datum=day, valuta="EUR", totaal=float(total), btw=float(vat),
        betaalwijze=method, regels=rows,
    )  # fmt: skip


def forty(made):
    for number in range(40):
        day = f"2026-10-0{1 + number % 3}"
        ticket(made, number, day, ("pin", "cash")[number % 2], nl_high=f"{number}.35", nl_low=f"{2 * number + 1}.07")


def booked(made):
    """What stands in the books by ledger: credit less debit."""
    found = Counter()
    for row in made.rows("shop", "entries"):
        for line in row["regels"]:
            found[line["rekening"]] += Decimal(str(line.get("credit") or 0)) - Decimal(str(line.get("debet") or 0))
    return {ledger: amount for ledger, amount in found.items() if amount}


def sold(made):
    """What the tickets come to, by the ledger it belongs on."""
    ledgers = {"nl-high": ("8000", "1510"), "nl-low": ("8010", "1511")}
    found = Counter()
    for row in made.rows("crm", "tickets"):
        for line in row["regels"]:
            for ledger, name in zip(ledgers[line["btw_soort"]], ("bedrag", "btw"), strict=True):
                found[ledger] += Decimal(str(line[name]))
        found[{"pin": "1220", "cash": "1000"}[row["betaalwijze"]]] -= Decimal(str(row["totaal"]))
    return {ledger: amount for ledger, amount in found.items() if amount}


def both_totals(made):
    flow = made.ws.flow("till")

    async def told(ports):
        await totals_engine.read(ports, flow, Options())
        return await totals_engine.totals(ports, flow, read_period("2026-10"))

    return made.ws.with_ports(told)


def test_forty_tickets_of_three_days_become_postings_that_come_to_the_same_cent(made):
    forty(with_flow(made))
    plan = made.ws.plan("till")
    assert plan.counts["create"] == 3 * 2 * 2  # day, VAT meaning, payment method
    assert "(7 documents)" in plan.steps[0].step.label
    assert made.rows("shop", "entries") == []
    result = made.ws.sync("till")
    assert (result.state, result.counts["create"]) == ("done", 12)
    assert booked(made) == sold(made)
    told = both_totals(made)
    assert told.records == {"left": 12, "right": 12}
    assert told.different == 0
    for row in made.rows("shop", "entries"):
        debit, credit = (
            sum(Decimal(str(line.get(side) or 0)) for line in row["regels"]) for side in ("debet", "credit")
        )
        assert debit == credit > 0
    made.host.reset_calls()
    assert made.ws.sync("till").counts["unchanged"] == 0
    assert made.writes() == {}


def test_by_journal_the_meanings_of_a_day_stand_in_one_entry_per_journal(made):
    forty(with_flow(made, by="journal"))
    assert made.ws.sync("till").counts["create"] == 6
    assert {row["dagboek"] for row in made.rows("shop", "entries")} == {"71", "72"}
    assert booked(made) == sold(made)


def test_a_late_ticket_is_asked_about_and_posted_as_the_difference_when_a_person_says_so(made):
    forty(with_flow(made))
    made.ws.sync("till")
    before = made.rows("shop", "entries")
    ticket(made, 99, "2026-10-02", nl_high="10.00")
    made.wait(60)
    result = made.ws.sync("till")
    assert result.counts["create"] == 0
    assert result.counts["ask"] == 1
    (ask,) = made.ws.asks()
    assert "1 document came or changed after 2026-10-02/nl-high/pin/EUR was posted" in ask.body["problem"]["text"]
    assert "EUR 12.10" in ask.body["problem"]["text"]
    made.reopen()
    made.ws.decide(ask.id, "create")
    assert made.ws.sync("till").counts["create"] == 1
    rows = made.rows("shop", "entries")
    assert rows[:-1] == before  # what was posted stays as it was
    assert rows[-1]["nummer"] == "2026-10-02/nl-high/pin/EUR/2"
    assert booked(made) == sold(made)
    assert made.ws.sync("till").counts["ask"] == 0
    told = made.ws.why(f"shop:entries:{rows[-1]['id']}")
    late = made.rows("crm", "tickets")[-1]["id"]
    assert told.documents == (f"crm:tickets:{late}",)
    counted = made.ws.why(f"crm:tickets:{late}")
    assert [reason.code for reason in counted.open] == ["posted_together"]
    assert "posted_together" in CODES
    assert counted.open[0].text.endswith("2026-10-02/nl-high/pin/EUR/2")
    first = made.ws.why("crm:tickets by day (till):2026-10-02/nl-high/pin/EUR")
    assert len(first.documents) == 6  # without the late one
    assert first.documents[0] in [f"crm:tickets:{row['id']}" for row in made.rows("crm", "tickets")]


def test_with_next_a_changed_and_a_removed_ticket_become_a_correction_of_the_difference(made):
    forty(with_flow(made, late="next"))
    made.ws.sync("till")
    before = made.rows("shop", "entries")
    first = made.rows("crm", "tickets")[0]
    made.edit("crm", "tickets", first["id"], totaal=1.21, btw=0.21, regels=[{"btw_soort": "nl-high", "bedrag": 1, "btw": 0.21}])  # fmt: skip
    made.wait(120)
    assert made.ws.sync("till").counts["create"] == 2
    assert made.rows("shop", "entries")[: len(before)] == before
    assert booked(made) == sold(made)
    made.wait(120)
    result = made.ws.sync("till")
    assert (result.counts["create"], result.counts["update"]) == (0, 0)


def test_a_difference_left_out_by_a_person_is_part_of_the_next_one(made):
    with_flow(made)
    ticket(made, 1, "2026-10-01", nl_high="5.00")
    made.ws.sync("till")
    ticket(made, 2, "2026-10-01", nl_high="10.00")
    made.wait(60)
    made.ws.sync("till")
    (ask,) = made.ws.asks()
    made.ws.decide(ask.id, "skip")
    assert made.ws.sync("till").counts["create"] == 0
    ticket(made, 3, "2026-10-01", nl_high="20.00")
    made.wait(60)
    assert made.ws.sync("till").counts["ask"] == 1
    (ask,) = made.ws.asks()
    assert "2 documents came or changed" in ask.body["problem"]["text"]
    assert "EUR 36.30" in ask.body["problem"]["text"]
    assert len(made.rows("shop", "entries")) == 1


def test_a_day_is_posted_when_it_is_over_and_a_difference_that_goes_away_is_no_question(made):
    with_flow(made)
    today = datetime.fromtimestamp(made.ws.now(), ZoneInfo("Europe/Amsterdam")).date().isoformat()
    ticket(made, 1, today, nl_high="5.00")
    assert made.ws.sync("till").counts["create"] == 0
    made.wait(24 * 3600)
    assert made.ws.sync("till").counts["create"] == 1
    number = ticket(made, 2, today, nl_high="5.00")
    made.wait(60)
    assert made.ws.sync("till").counts["ask"] == 1
    made.edit("crm", "tickets", number, totaal=0, btw=0, regels=[{"btw_soort": "nl-high", "bedrag": 0, "btw": 0}])
    made.wait(60)
    made.ws.sync("till")
    assert made.ws.asks() == []


def test_a_reconciliation_finds_nothing_to_mend(made):
    forty(with_flow(made))
    made.ws.sync("till")
    found = []
    flow = made.ws.flow("till")

    async def job(ports):
        await reconcile.read_whole(ports, flow, Options())
        return await reconcile.compare(ports, flow, found.append)

    told = made.ws.with_ports(job)
    assert found == []  # the other side keeps amounts without the noughts they end in: the same amounts
    assert (told.pairs, told.same) == (12, 12)


def test_a_removed_ticket_is_taken_back_by_a_correction(made):
    with_flow(made, late="next")
    number = ticket(made, 1, "2026-10-01", nl_high="5.00")
    ticket(made, 2, "2026-10-01", nl_high="7.00")
    made.ws.sync("till")
    made.delete("crm", "tickets", number)
    made.wait(600)
    flow = made.ws.flow("till")
    made.ws.with_ports(lambda ports: totals_engine.read(ports, flow, Options(whole=True)))
    assert made.ws.sync("till").counts["create"] == 1
    assert booked(made) == sold(made)


@pytest.mark.parametrize(("late", "wait"), [("next", 1000), ("ask", 1000), ("next", 1)])
def test_killed_at_any_point_nothing_is_lost_or_doubled(made, monkeypatch, late, wait):
    monkeypatch.setattr(grouping, "PART", 7)
    forty(with_flow(made, by="journal", late=late))
    for at in itertools.count(1):
        if at % 3 == 0:
            ticket(made, 100 + at, f"2026-10-0{1 + at % 2}", nl_high=f"{at}.00")
        if not killed(made, at, wait):
            break
    assert at > 12
    for ask in made.ws.asks():
        made.ws.decide(ask.id, "create")
    assert made.ws.sync("till").state == "done"
    assert booked(made) == sold(made)
    assert made.host.count("rest", "PATCH") == 0  # what may have been posted is never changed
    numbers = [row["nummer"] for row in made.rows("shop", "entries")]
    assert len(numbers) == len(set(numbers))
    assert both_totals(made).different == 0


class Killed(BaseException):
    """The process ends here."""


def killed(made, at, wait):
    """One run that ends at its `at`-th point; whether it was reached. With a short wait what was sent may still be under way."""
    passed = itertools.count(1)

    async def point(name):
        if next(passed) == at:
            raise Killed

    made.ws.point = point
    try:
        made.ws.sync("till")
    except Killed:
        return True
    finally:
        made.reopen()
        made.wait(wait)
    return False


def test_grouped_otherwise_after_posting_is_refused(made):
    with_flow(made)
    ticket(made, 1, "2026-10-01", nl_high="5.00")
    made.ws.sync("till")
    with_flow(made, by="journal")
    with pytest.raises(SetupError, match="posted a second time"):
        made.ws.sync("till")
    file = made.ws.config.path / "flows" / "till.toml"
    with_flow(made)
    file.write_text(file.read_text("utf-8").replace('by       = "day"', 'by = "day"\nkeys = ["date"]'), "utf-8")
    made.reopen()
    with pytest.raises(SetupError, match="posted a second time"):
        made.ws.sync("till")


def test_check_says_what_is_not_made_of_documents(made):
    with_flow(made)
    assert [p for p in made.ws.check("till") if p.severity == "error"] == []
    file = made.ws.config.path / "flows" / "till.toml"
    file.write_text(file.read_text("utf-8").replace("crm:tickets", "crm:customers"), "utf-8")
    made.reopen()
    (problem,) = [p for p in made.ws.check("till") if p.severity == "error"]
    assert (problem.code, problem.line) == ("wrong-documents", 5)
    page = with_flow(made).ws.document("till")
    assert "Documents of crm:tickets are posted together, per date and" in page


def test_a_meaning_without_a_ledger_parks_its_posting_whole_until_the_table_has_a_line(made):
    with_flow(made)
    ticket(made, 1, "2026-10-01", nl_high="5.00")
    ticket(made, 2, "2026-10-01", margin="7.00")
    result = made.ws.sync("till")
    assert (result.counts["create"], result.counts["park"]) == (1, 1)
    file = made.ws.config.path / "flows" / "till.toml"
    file.write_text(file.read_text("utf-8").replace('nl-low  = "8010"', 'nl-low  = "8010"\nmargin = "8020"'), "utf-8")
    made.reopen()
    assert made.ws.sync("till").counts["create"] == 1
    assert booked(made) == {"8000": Decimal(5), "1510": Decimal("1.05"), "1220": Decimal("-13.05"), "8020": Decimal(7)}
