"""Which behaviour belongs to which resource."""

from __future__ import annotations

from koppel.systems.exact.sandbox import entries, journal_entries, payments, sales_invoices
from koppel.systems.exact.sandbox.behaviour import Behaviour

BEHAVIOURS: dict[str, Behaviour] = {
    "salesinvoice/SalesInvoices": sales_invoices.INVOICE,
    "salesinvoice/SalesInvoiceLines": sales_invoices.LINE,
    "salesinvoice/PrintedSalesInvoices": sales_invoices.PRINTED,
    "salesentry/SalesEntries": entries.SALES.entry(),
    "salesentry/SalesEntryLines": entries.SALES.line(),
    "purchaseentry/PurchaseEntries": entries.PURCHASES.entry(),
    "purchaseentry/PurchaseEntryLines": entries.PURCHASES.line(),
    "financialtransaction/BankEntries": payments.BANK,
    "financialtransaction/CashEntries": payments.CASH,
    "generaljournalentry/GeneralJournalEntries": journal_entries.ENTRY,
}
