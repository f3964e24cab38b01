"""The field table of Exact Online accounts: what can be read and written, in which form, and what is lost on the way.

Lengths are unverified throughout: the vendor's reference names none. They are set low, so that `check` warns early;
nothing is ever cut here.
"""

from __future__ import annotations

from koppel.model.can import Field
from koppel.model.kinds import Kind
from koppel.systems.exact import codec

_REFERENCE = (
    "A reference to another record of the same division. Not written: one of another division is said to be accepted and "
    "dropped in silence (unverified), so it must first be looked up inside the division."
)


def _own(name: str, kind: Kind = "text", *, form: codec.Form = codec.text, **more: object) -> Field:
    return Field(path=name, kind=kind, vendor=(name,), own=True, form=form, **more)  # pyright: ignore[reportArgumentType]


CANONICAL: tuple[Field, ...] = (
    Field(path="name", kind="name", vendor=("Name",), required=True, max_length=50, form=codec.text),
    Field(path="kvk", kind="kvk", vendor=("ChamberOfCommerce",), max_length=20, form=codec.kvk_form),
    Field(path="vat_number", kind="vat", vendor=("VATNumber",), max_length=20, form=codec.vat_form),
    Field(path="rsin", kind="code", vendor=("RSIN",), max_length=20, form=codec.rsin_form),
    Field(
        path="address",
        kind="address",
        vendor=codec.ADDRESS_FIELDS,
        form=codec.address_form,
        lossy="Street, number and suffix become one line; of a foreign address all beyond the third line joins the third.",
        note="The visit address; crm/Addresses of type 1 mirrors it. Invoice and delivery addresses are not touched.",
    ),
    Field(path="phone", kind="phone", vendor=("Phone",), max_length=25, form=codec.text),
    Field(path="email", kind="email", vendor=("Email",), max_length=100, form=codec.text),
    Field(path="website", kind="url", vendor=("Website",), max_length=100, form=codec.text),
    Field(
        path="role",
        kind="code",
        vendor=("Status",),
        values=tuple(codec.STATUSES),
        form=codec.role_form,
        lossy="A supplier that is no customer shows as none; use is_supplier.",
    ),
    Field(path="is_supplier", kind="bool", vendor=("IsSupplier",), form=codec.bool_form),
    Field(path="blocked", kind="bool", vendor=("Blocked",), form=codec.bool_form),
    Field(
        path="ended_on",
        kind="date",
        vendor=("EndDate",),
        form=codec.date_form,
        lossy="A date known only to the month or year cannot be kept.",
    ),
    Field(
        path="is_active",
        kind="bool",
        vendor=("EndDate",),
        writable="never",
        note="Follows from ended_on, on the day the account was read: active until that day.",
    ),
    Field(
        path="code",
        kind="code",
        vendor=("Code",),
        writable="never",
        form=codec.text,
        note="Numbered by Exact; kept in 18 places, filled with spaces in front.",
    ),
)

OWN: tuple[Field, ...] = (
    _own("Remarks", form=codec.lines, max_length=2000),
    _own(
        "Status", "code", values=tuple(codec.ROLES), note="C customer, P prospect, S suspect, A none; same as `role`."
    ),
    _own("SearchCode", "code", max_length=20),
    _own("TradeName", "name", max_length=50),
    _own("Language", "code", max_length=5),
    _own("Fax", "phone", max_length=25),
    _own("PaymentConditionSales", "code", max_length=2),
    _own("PaymentConditionPurchase", "code", max_length=2),
    _own("SalesVATCode", "code", max_length=3),
    _own("PurchaseVATCode", "code", max_length=3),
    _own("CodeAtSupplier", "code", max_length=30),
    _own("OINNumber", "code", max_length=20),
    _own("EORINumber", "code", max_length=20),
    _own("GlnNumber", "code", max_length=13),
    _own("PeppolIdentifier", "code", max_length=50),
    _own("StartDate", "date", form=codec.date_form),
    _own("Created", "instant", writable="never"),
    *(
        _own(f"Classification{number}", "guid", form=codec.lower_form, writable="never", note=_REFERENCE)
        for number in range(1, 9)
    ),
    _own("InvoiceAccount", "guid", form=codec.lower_form, writable="never", note=_REFERENCE),
    _own(
        "CustomField",
        readable=False,
        writable="never",
        note="Custom fields cannot be written through this API, and reading them needs a Premium licence; use Remarks.",
    ),
)

FIELDS = CANONICAL + OWN
BY_PATH = {field.path: field for field in FIELDS}
OWN_NAMES = frozenset(field.path for field in OWN)

_MAPPED = tuple(dict.fromkeys(name for field in CANONICAL if field.readable for name in field.vendor))


def properties(own: tuple[str, ...], *, sync: bool) -> tuple[str, ...]:
    """What to `$select`: only what is mapped or asked for by a flow, so that a BSN is never even fetched (rule B13)."""
    asked = (name for name in own if name in OWN_NAMES and BY_PATH[name].readable)
    head = ("ID", "Timestamp", "Modified") if sync else ("ID", "Modified")
    return tuple(dict.fromkeys((*head, *_MAPPED, *asked)))
