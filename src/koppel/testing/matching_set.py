"""A labelled set of made-up Dutch companies on two sides, and how well they find each other: by keys (links), by likeness (proposals).

Seeded: the same seed makes the same set. The right holds a firm of the left as people really type it: another company form, a typo,
the trade name, the phone number spelled otherwise, the KVK number missing. Beside them stand the traps: other firms in the same
building, branches of a chain, families that share a name, a fiscal unity that shares a VAT number, a KVK number copied from the
parent. Figures: `benchmarks/matching.py`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import msgspec

from koppel.engine import proposals
from koppel.engine.frame import Loader, make_frame
from koppel.engine.ports import Connection, Ports
from koppel.mapping.flow import Endpoint, FieldRule, Flow, Match
from koppel.model.address import Address
from koppel.model.company import Company
from koppel.model.record import Record
from koppel.store import observations, streams
from koppel.store.observations import Seen
from koppel.store.store import Store, in_memory
from koppel.store.vault import Vault
from koppel.sync.decide import decide
from koppel.sync.steps import Step
from koppel.testing import toys

RULES = ("name+postcode", "name+city", "name+street", "email_domain", "email", "phone", "website")
PART = 500


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split())


_TRADES = _listed(
    "Bakkerij Slagerij Garage Bouwbedrijf Installatiebedrijf Kapsalon Hoveniersbedrijf Drukkerij Boekhandel "
    "Restaurant Transport Schildersbedrijf Timmerwerken Administratiekantoor Tandartspraktijk Autobedrijf Webwinkel "
    "Adviesbureau Fietsenwinkel Apotheek "
)
_SURNAMES = _listed(
    "Jansen Bakker Visser Smit Meijer Mulder Bos Vos Peters Hendriks Dekker Dijkstra Brouwer Kok Verhoeven Maas "
    "Willems Hoekstra Koster Prins Huisman Postma Schouten Kuipers Veenstra Kramer Wolters Scholten Molenaar "
    "Zijlstra "
)
_FIRST = _listed(
    "kor mol zon ster wind bos duin veld maan brug hout steen goud zilver blauw groen noord zuid oost west appel "
    "peer roos linde eik beuk "
)
_LAST = _listed(
    "enaar enaars wijzer licht veld kamp horst dijk huis hof werf poort zicht rijk stra berg broek burcht meer loo "
)
_STREETS = _listed(
    "Dorpsstraat Kerkstraat Molenweg Stationsweg Hoofdstraat Industrieweg Nijverheidsweg Parallelweg Marktplein "
    "Havenkade Lindelaan Eikenlaan "
)
_TOWNS = _listed("Amsterdam Utrecht Zwolle Ede Breda Tilburg Leiden Delft Gouda Hoorn Assen Venlo Goes Almelo Sneek ")
_FORMS = ("B.V.", "BV", "b.v.", "V.O.F.", "N.V.", "")
_PUBLIC = ("gmail.com", "ziggo.nl", "kpnmail.nl", "hotmail.com", "live.nl")


class Labelled(msgspec.Struct, frozen=True):
    """Both sides by native id, and which pairs are one firm. `how`: what was done to each true pair, for the figures."""

    left: dict[str, Company]
    right: dict[str, Company]
    same: frozenset[tuple[str, str]]
    how: dict[tuple[str, str], str]


class Measured(msgspec.Struct, frozen=True):
    """What came of a set. A recall of proposals counts the true pairs no key links; `missed` names them by how they were made."""

    pairs: int
    linked: int
    linked_rightly: int
    asked: int
    proposed: int
    proposed_rightly: int
    best_rightly: int
    findable: int
    found: int
    missed: dict[str, int]
    questions: int

    @property
    def link_precision(self) -> float:
        """Of the automatic links the share that is right."""
        return self.linked_rightly / self.linked if self.linked else 1.0

    @property
    def precision(self) -> float:
        """Of the records proposed the share that is right."""
        return self.proposed_rightly / self.proposed if self.proposed else 1.0

    @property
    def first_precision(self) -> float:
        """Of the questions about likeness the share whose first choice is right (many are about firms that have no double)."""
        return self.best_rightly / self.questions if self.questions else 1.0

    @property
    def recall(self) -> float:
        """Of the true pairs that no key links the share that is proposed."""
        return self.found / self.findable if self.findable else 1.0


# --- the set -------------------------------------------------------------------------------------------------------------


def labelled(*, seed: int, firms: int) -> Labelled:
    """Make a set: some 0.8 firms of the left stand on the right as well, and as many records there are nobody's."""
    return _Maker(seed).make(firms)


class _Maker:
    def __init__(self, seed: int) -> None:
        self.rnd = Random(f"matching {seed}")  # noqa: S311 - made-up firms, not secrets
        self.left: dict[str, Company] = {}
        self.right: dict[str, Company] = {}
        self.how: dict[tuple[str, str], str] = {}
        self.numbers = 10_000_000

    def make(self, firms: int) -> Labelled:
        for _ in range(firms):
            firm = self._firm()
            native = self._put(self.left, firm)
            roll = self.rnd.random()
            if roll < 0.8:
                for _ in range(3 if roll < 0.02 else 1):  # one firm, several debtors (rule B1)
                    self._double(native, firm)
            self._trap(firm)
        return Labelled(self.left, self.right, frozenset(self.how), self.how)

    def _put(self, side: dict[str, Company], company: Company) -> str:
        native = f"{'L' if side is self.left else 'R'}{len(side) + 1}"
        side[native] = company
        return native

    def _number(self) -> str:
        self.numbers += self.rnd.randint(1, 5)
        return f"{self.numbers:08}"

    def _firm(self) -> Company:
        rnd = self.rnd
        own = rnd.choice(_FIRST) + rnd.choice(_LAST)
        name = rnd.choice((
            f"{rnd.choice(_TRADES)} {rnd.choice(_SURNAMES)}",
            f"{rnd.choice(_TRADES)} De {own.title()}",
            f"{own.title()} {rnd.choice(_TRADES)}",
            f"{rnd.choice(_SURNAMES)} & {rnd.choice(_SURNAMES)} {rnd.choice(_TRADES)}",
        ))  # fmt: skip
        domain = "".join(c for c in name.lower() if c.isalnum()) + f"{rnd.randint(1, 99)}.example"
        number = self._number()
        return Company(
            name=f"{name} {rnd.choice(_FORMS)}".strip(),
            statutory_name=f"{rnd.choice(_SURNAMES)} {own.title()} Beheer B.V." if rnd.random() < 0.3 else None,
            kvk=number,
            vat_number=f"NL{number}0B01" if rnd.random() < 0.6 else None,
            address=self._address(),
            phone=f"0{rnd.randint(10, 79)}{rnd.randint(1_000_000, 9_999_999)}" if rnd.random() < 0.85 else None,
            email=f"info@{rnd.choice(_PUBLIC) if rnd.random() < 0.25 else domain}" if rnd.random() < 0.8 else None,
            website=f"www.{domain}" if rnd.random() < 0.5 else None,
        )

    def _address(self) -> Address:
        rnd = self.rnd
        letters = "".join(rnd.choice("ABCDEGHJKLMNPRTVWXZ") for _ in range(2))
        return Address(
            street=rnd.choice(_STREETS),
            number=str(rnd.randint(1, 240)),
            suffix=rnd.choice((None, None, None, "A", "2")),
            postcode=f"{rnd.randint(1000, 9999)}{letters}",
            city=rnd.choice(_TOWNS),
            country="NL",
        )

    # --- the same firm, as people type it ---

    def _double(self, native: str, firm: Company) -> None:
        with_key = self.rnd.random() < 0.55
        changes = self.rnd.sample(self._changes(), self.rnd.choice((0, 1, 1, 2, 3)))
        made, names = firm, ["keys" if with_key else "no keys"]
        for name, change in changes:
            made = change(made)
            names.append(name)
        if not with_key:
            made = msgspec.structs.replace(made, kvk=None, vat_number=None)
        self.how[native, self._put(self.right, made)] = " + ".join(names)

    def _changes(self) -> list[tuple[str, Callable[[Company], Company]]]:
        return [
            ("typo in the name", lambda c: msgspec.structs.replace(c, name=self._typo(c.name or ""))),
            ("other company form", lambda c: msgspec.structs.replace(c, name=self._other_form(c.name or ""))),
            ("words in another order", lambda c: msgspec.structs.replace(c, name=self._turned(c.name or ""))),
            ("statutory name", lambda c: msgspec.structs.replace(c, name=c.statutory_name or c.name, statutory_name=None)),
            ("other phone spelling", lambda c: msgspec.structs.replace(c, phone=self._spelled(c.phone))),
            ("moved", lambda c: msgspec.structs.replace(c, address=self._address())),
            ("suffix moved", lambda c: msgspec.structs.replace(c, address=self._suffix_moved(c.address))),
            ("no phone, no mail, no site", lambda c: msgspec.structs.replace(c, phone=None, email=None, website=None)),
            ("other mailbox", lambda c: msgspec.structs.replace(c, email=self._other_mailbox(c.email))),
            ("no address", lambda c: msgspec.structs.replace(c, address=None)),
        ]  # fmt: skip

    def _typo(self, name: str) -> str:
        at = self.rnd.randrange(1, max(2, len(name) - 4))
        other = self.rnd.choice("aeiourstnl")
        return self.rnd.choice((
            name[:at] + name[at + 1 :],
            name[:at] + other + name[at:],
            name[: at - 1] + name[at : at + 1] + name[at - 1] + name[at + 1 :],
        ))  # fmt: skip

    def _other_form(self, name: str) -> str:
        bare = next((name.removesuffix(form).strip() for form in _FORMS if form and name.endswith(form)), name)
        return f"{bare} {self.rnd.choice(_FORMS)}".strip()

    def _turned(self, name: str) -> str:
        first, _, rest = name.partition(" ")
        return f"{rest}, {first.lower()}" if rest else name

    def _spelled(self, phone: str | None) -> str | None:
        if phone is None:
            return None
        return self.rnd.choice((f"+31 {phone[1:3]} {phone[3:]}", f"({phone[:3]}) {phone[3:6]} {phone[6:]}", f"0031{phone[1:]}", f"{phone[:3]}-{phone[3:]} tst {self.rnd.randint(1, 9)}"))  # fmt: skip

    def _suffix_moved(self, address: Address | None) -> Address | None:
        if address is None:
            return None
        line = f"{address.street} {address.number}{'-' + address.suffix if address.suffix else ''}"
        return msgspec.structs.replace(address, street=line, number=None, suffix=None)

    def _other_mailbox(self, mail: str | None) -> str | None:
        return f"{self.rnd.choice(_SURNAMES).lower()}@{mail.rpartition('@')[2]}" if mail else None

    # --- what only looks the same ---

    def _trap(self, firm: Company) -> None:
        rnd, replace = self.rnd, msgspec.structs.replace
        other = self._firm()
        where = rnd.random()
        if where < 0.15:  # another firm in the same building, behind one switchboard now and then
            shared = {"address": firm.address} | ({"phone": firm.phone} if rnd.random() < 0.3 else {})
            made = replace(other, **shared)
        elif where < 0.25:  # a branch of a chain: name, site and mail are the chain's, the number is its own
            made = replace(firm, kvk=other.kvk, vat_number=other.vat_number, address=other.address, phone=other.phone)
        elif where < 0.35:  # the family's other firm
            made = replace(
                other, name=f"{(firm.name or '').split()[-2 if ' ' in (firm.name or '') else 0]} {rnd.choice(_TRADES)}"
            )
        elif where < 0.38:  # a fiscal unity: one VAT number, two firms
            made = replace(other, vat_number=firm.vat_number)
        elif where < 0.41:  # the KVK number of the parent, copied onto the daughter with a VAT number of her own
            if firm.vat_number is None:
                return
            made = replace(other, kvk=firm.kvk, vat_number=f"NL{other.kvk}0B01")
        else:
            made = other
        if rnd.random() < 0.5 and where >= 0.38:
            made = made if where < 0.41 else replace(made, kvk=None, vat_number=None)
        self._put(self.right, made)


# --- how well they find each other --------------------------------------------------------------------------------------------


def store_of(made: Labelled, store: Store) -> None:
    """Put a set into a store, as two streams that were read to their ends."""
    for connection, resource, records in (("left", "customers", made.left), ("right", "shops", made.right)):
        stream = store.run(streams.ensure, connection, resource).id
        seen = [Seen(n, Record(c), keys=c.match_keys()) for n, c in records.items()]
        for start in range(0, len(seen), PART):
            store.run(observations.take_in, stream, seen[start : start + PART], at=1.0)
        store.run(streams.move_cursor, stream, cursor=None, next_page=None, complete=True, at=1.0)


def a_flow(rules: Sequence[str] = RULES) -> Flow:
    """From left to right, creating there, so that what is neither linked nor proposed would be made anew."""
    return Flow(
        "matching", "Matching", "company", Endpoint("left", "customers"), Endpoint("right", "shops"), (FieldRule("name"),),
        match=Match(keys=("kvk", "vat"), propose=tuple(rules)), create_right=True, digest="matching",
    )  # fmt: skip


def ports_on(store: Store) -> Ports:
    """Two made-up systems that are never called: everything is in the store."""

    class Nobody:
        async def send(self, request: object, *, timeout: float) -> object:  # noqa: ASYNC109
            raise NotImplementedError

    class Still:
        def now(self) -> float:
            return 1_000_000.0

        async def sleep(self, seconds: float) -> None:
            raise NotImplementedError

    connections = {
        "left": Connection(name="left", system=toys.LEDGER_SYSTEM, settings=toys.LedgerSettings()),
        "right": Connection(name="right", system=toys.TILL_SYSTEM, settings=toys.TillSettings()),
    }
    return Ports(store=store, clock=Still(), transport=Nobody(), connections=connections, worker="one")  # type: ignore[arg-type]


def decided(store: Store, flow: Flow, natives: Sequence[str]) -> list[Step]:
    """The steps of the flow's first pass over these left records, decided in parts as a run does."""
    ports = ports_on(store)
    frame = make_frame(ports, flow)
    asyncio.run(proposals.bring_up_to_date(store, flow, [stream.id for stream in frame.streams.values()]))
    steps: list[Step] = []
    for start in range(0, len(natives), PART):
        part = list(natives[start : start + PART])
        for view in store.run(lambda db, part=part: Loader(db, frame).views(left=part, right=[])):
            answer = decide(frame.policy, view)
            steps += answer if isinstance(answer, list) else []
    return steps


def measure(made: Labelled, *, store: Store | None = None, rules: Sequence[str] = RULES) -> Measured:
    """Let the sides find each other, and count. Without a store, in memory."""
    kept = store or in_memory(Vault(bytes(32)))
    store_of(made, kept)
    steps = decided(kept, a_flow(rules), list(made.left))
    links = {(step.left or "", step.right or "") for step in steps if step.kind == "link"}
    asks = [step for step in steps if step.kind == "ask" and step.problem is not None]
    offered = {
        (step.left or "", str(choice["answer"])): position
        for step in asks
        if step.problem is not None and step.problem.code == "proposed"
        for position, choice in enumerate(step.choices)
        if "score" in choice
    }
    keyed = {(s.left or "", str(c["answer"])) for s in asks for c in s.choices if "by" in c}
    findable = made.same - links - keyed
    found = findable & offered.keys()
    if store is None:
        kept.close()
    return Measured(
        pairs=len(made.same),
        linked=len(links),
        linked_rightly=len(links & made.same),
        asked=len(asks),
        proposed=len(offered),
        proposed_rightly=len(offered.keys() & made.same),
        best_rightly=sum(1 for pair, position in offered.items() if position == 0 and pair in made.same),
        findable=len(findable),
        found=len(found),
        missed=dict(Counter(made.how[pair] for pair in findable - found).most_common(12)),
        questions=len({left for left, _ in offered}),
    )
