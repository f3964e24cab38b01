"""Which behaviour belongs to which resource."""

from __future__ import annotations

from koppel.systems.exact.sandbox import (
    counts,
    entries,
    hours,
    journal_entries,
    papers,
    payments,
    purchasing,
    relations,
    sales_invoices,
    sales_orders,
)
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
    "salesorder/CompleteSalesOrder": sales_orders.COMPLETED,
    "crm/Accounts": relations.ACCOUNT,
    "crm/Contacts": relations.CONTACT,
    "crm/BankAccounts": relations.BANK_ACCOUNT,
    "hrm/Costcenters": relations.FIXED_CODE,
    "hrm/Costunits": relations.FIXED_CODE,
    "project/TimeTransactions": hours.ENTRY,
    "project/CostTransactions": hours.ENTRY,
    "documents/Documents": papers.DOCUMENT,
    "inventory/StockCounts": counts.COUNT,
    "inventory/ProcessStockCount": counts.PROCESS_COUNT,
    "inventory/WarehouseTransfers": counts.TRANSFER,
    "inventory/ProcessWarehouseTransfer": counts.PROCESS_TRANSFER,
}
