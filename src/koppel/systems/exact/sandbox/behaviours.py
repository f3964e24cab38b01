"""Which behaviour belongs to which resource."""

from __future__ import annotations

from koppel.systems.exact.sandbox import entries, journal_entries, payments, purchasing, sales_invoices, sales_orders
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
    "salesorder/SalesOrders": sales_orders.ORDER,
    "salesorder/SalesOrderLines": sales_orders.LINE,
    "salesorder/GoodsDeliveries": sales_orders.DELIVERY,
    "salesorder/GoodsDeliveryLines": sales_orders.DELIVERY_LINE,
    "salesinvoice/InvoiceSalesOrders": sales_orders.invoicing(sales_invoices.INVOICE),
    "purchaseorder/PurchaseOrders": purchasing.ORDER,
    "purchaseorder/PurchaseOrderLines": purchasing.LINE,
    "purchaseorder/GoodsReceipts": purchasing.RECEIPT,
    "purchaseorder/GoodsReceiptLines": purchasing.RECEIPT_LINE,
    "purchase/PurchaseInvoices": purchasing.INVOICE,
}
