"""Our own property table of the resources this sandbox serves: names, Edm types, what may be written and filtered.

One word per property, `Name:Type` and marks: `!` mandatory on POST, `+` writable, `?` ticked in the reference's *Filter*
column. A type that is no Edm type is a navigation to a collection. [core_resources]
"""

from __future__ import annotations

import re
from dataclasses import dataclass

EDM = frozenset({"Binary", "Boolean", "Byte", "DateTime", "Double", "Guid", "Int16", "Int32", "Int64", "String"})
NUMBERS = frozenset({"Byte", "Double", "Int16", "Int32", "Int64"})


@dataclass(frozen=True, slots=True)
class Property:
    """One property of an entity type; `type` is the Edm type without `Edm.`, or a collection's name."""

    name: str
    type: str
    mandatory: bool = False
    writable: bool = False
    filterable: bool = False

    @property
    def is_collection(self) -> bool:
        """Whether it is a navigation to other records."""
        return self.type not in EDM

    @property
    def default(self) -> bool | int | None:
        """What is served when nobody filled it: flags and amounts have a value, everything else is null (unverified)."""
        return {"Boolean": False, "Byte": 0, "Double": 0}.get(self.type)


@dataclass(frozen=True, slots=True, eq=False)
class EntityType:
    """What one resource serves. `path` is its resource path, `clr` the type name in `__metadata` and in messages.

    `page` is the size of a server page; `kind` says which query options apply: plain | sync | bulk.
    """

    path: str
    clr: str
    key: str
    properties: dict[str, Property]
    page: int = 60
    kind: str = "plain"
    methods: tuple[str, ...] = ("GET",)

    @property
    def name(self) -> str:
        """The entity set's name: the last segment of its path."""
        return self.path.rpartition("/")[2]

    @property
    def service(self) -> str:
        """What stands before the set's name: `crm`, `sync/CRM`."""
        return self.path.rpartition("/")[0]


_WORD = re.compile(r"(\w+):([\w.]+)([!+?]*)")


def _properties(text: str, extra: str = "") -> dict[str, Property]:
    found: dict[str, Property] = {}
    for word in (text + extra).split():
        match = _WORD.fullmatch(word)
        assert match, word
        name, type_, marks = match.groups()
        found[name] = Property(name, type_, "!" in marks, "+" in marks, "?" in marks)
    return found


_ACCOUNT = """
    ID:Guid+? Accountant:Guid+? AccountManager:Guid+? AccountManagerFullName:String AccountManagerHID:Int32
    ActivitySector:Guid+ ActivitySubSector:Guid+ AddressLine1:String+? AddressLine2:String+? AddressLine3:String+?
    AddressSource:Byte AutomaticProcessProposedEntry:Byte+ BankAccounts:BankAccounts Blocked:Boolean+? BRIN:Guid?
    BSN:String+? BusinessType:Guid+ CanDropShip:Boolean+ ChamberOfCommerce:String+? City:String+?
    Classification:String? Classification1:Guid+? Classification2:Guid+? Classification3:Guid+?
    Classification4:Guid+? Classification5:Guid+? Classification6:Guid+? Classification7:Guid+?
    Classification8:Guid+? ClassificationDescription:String Code:String+? CodeAtSupplier:String+? CompanySize:Guid+
    ConsolidationScenario:Byte+ ControlledDate:DateTime+ Costcenter:String CostcenterDescription:String
    CostPaid:Byte Country:String+? CountryName:String Created:DateTime? Creator:Guid CreatorFullName:String
    CreditLinePurchase:Double+ CreditLineSales:Double+ Currency:String CustomerSince:DateTime CustomField:String
    DatevCreditorCode:String+ DatevDebtorCode:String+ DeliveryAdvice:Byte+ DiscountPurchase:Double+
    DiscountSales:Double+ Division:Int32 Document:Guid DunsNumber:String Email:String+?
    EnableSalesPaymentLink:Boolean+ EndDate:DateTime+? EORINumber:String+? EstablishedDate:DateTime+ Fax:String+?
    GLAccountPurchase:Guid+ GLAccountSales:Guid+ GLAP:Guid+ GLAR:Guid+ GlnNumber:String+
    HasWithholdingTaxSales:Boolean+ IgnoreDatevWarningMessage:Boolean+ IncotermAddressPurchase:String+
    IncotermAddressSales:String+ IncotermCodePurchase:String+ IncotermCodeSales:String+
    IncotermVersionPurchase:Int16+ IncotermVersionSales:Int16+ IntraStatArea:String+ IntraStatDeliveryTerm:String+
    IntraStatSystem:String+ IntraStatTransactionA:String+ IntraStatTransactionB:String+
    IntraStatTransportMethod:String+ InvoiceAccount:Guid+? InvoiceAccountCode:String InvoiceAccountName:String
    InvoiceAttachmentType:Int32+ InvoicingMethod:Int32+ IsAccountant:Byte+? IsAgency:Byte+ IsAnonymised:Byte
    IsBank:Boolean IsCompetitor:Byte+ IsExtraDuty:Boolean+ IsMailing:Byte+ IsMember:Boolean IsPilot:Boolean+
    IsPurchase:Boolean IsReseller:Boolean+? IsSales:Boolean? IsSupplier:Boolean+? Language:String+
    LanguageDescription:String Latitude:Double+ LeadPurpose:Guid+ LeadSource:Guid+ Logo:Binary+ LogoFileName:String+
    LogoThumbnailUrl:String LogoUrl:String Longitude:Double+ MainContact:Guid+? Modified:DateTime? Modifier:Guid
    ModifierFullName:String Name:String!+? OINNumber:String+ Parent:Guid+? PayAsYouEarn:String+
    PaymentConditionPurchase:String+ PaymentConditionPurchaseDescription:String PaymentConditionSales:String+
    PaymentConditionSalesDescription:String PeppolIdentifier:String+ PeppolIdentifierType:Int32+ Phone:String+?
    PhoneExtension:String+ Postcode:String+? PriceList:Guid+? PurchaseCurrency:String+
    PurchaseCurrencyDescription:String PurchaseLeadDays:Int32+ PurchaseVATCode:String+
    PurchaseVATCodeDescription:String RecepientOfCommissions:Boolean+ Remarks:String+ Reseller:Guid+?
    ResellerCode:String ResellerName:String RSIN:String+? SalesCurrency:String+ SalesCurrencyDescription:String
    SalesTaxSchedule:Guid+ SalesTaxScheduleCode:String SalesTaxScheduleDescription:String SalesVATCode:String+
    SalesVATCodeDescription:String SearchCode:String+? SecurityLevel:Int32+ SeparateInvPerProject:Byte+
    SeparateInvPerSubscription:Byte+ ShippingLeadDays:Int32+ ShippingMethod:Guid+ ShowRemarkForSales:Boolean+
    Source:Byte StartDate:DateTime+? State:String+ StateName:String Status:String+? StatusSince:DateTime
    TradeName:String+ Type:String? UniqueTaxpayerReference:String+ VATLiability:String+ VATNumber:String+?
    Website:String+
"""

_ADDRESS = """
    ID:Guid+ Account:Guid+ AccountIsSupplier:Boolean AccountName:String AddressLine1:String+ AddressLine2:String+
    AddressLine3:String+ City:String+ Contact:Guid+ ContactName:String Country:String+ CountryName:String
    Created:DateTime Creator:Guid CreatorFullName:String CustomField:String Division:Int32 Fax:String+
    FreeBoolField_01:Boolean+ FreeBoolField_02:Boolean+ FreeBoolField_03:Boolean+ FreeBoolField_04:Boolean+
    FreeBoolField_05:Boolean+ FreeDateField_01:DateTime+ FreeDateField_02:DateTime+ FreeDateField_03:DateTime+
    FreeDateField_04:DateTime+ FreeDateField_05:DateTime+ FreeNumberField_01:Double+ FreeNumberField_02:Double+
    FreeNumberField_03:Double+ FreeNumberField_04:Double+ FreeNumberField_05:Double+ FreeTextField_01:String+
    FreeTextField_02:String+ FreeTextField_03:String+ FreeTextField_04:String+ FreeTextField_05:String+
    Mailbox:String+ Main:Boolean+ Modified:DateTime Modifier:Guid ModifierFullName:String NicNumber:String+
    Notes:String+ Phone:String+ PhoneExtension:String+ Postcode:String+ Source:Byte State:String+
    StateDescription:String Type:Int16+ Warehouse:Guid+ WarehouseCode:String WarehouseDescription:String
"""

_BANK_ACCOUNT = """
    ID:Guid+ Account:Guid!+ AccountName:String Bank:Guid BankAccount:String!+ BankAccountHolderName:String+
    BankDescription:String BankName:String BICCode:String+ Blocked:Boolean+ Created:DateTime Creator:Guid
    CreatorFullName:String Description:String+ Division:Int32 Format:String IBAN:String Main:Boolean+
    Modified:DateTime Modifier:Guid ModifierFullName:String PaymentServiceAccount:Guid Type:String
    TypeDescription:String
"""

_ME = """
    UserID:Guid AccountingDivision:Int32 CurrentDivision:Int32 CustomerCode:String DivisionCustomer:Guid
    DivisionCustomerCode:String DivisionCustomerName:String DivisionCustomerSiretNumber:String
    DivisionCustomerVatNumber:String DossierDivision:Int32 Email:String EmployeeID:Guid FirstName:String
    FullName:String Gender:String Initials:String IsClientUser:Boolean IsEmployeeSelfServiceUser:Boolean
    IsMyFirmLiteUser:Boolean IsMyFirmPortalUser:Boolean IsOEIMigrationMandatory:Boolean IsStarterUser:Boolean
    Language:String LanguageCode:String LastName:String Legislation:Int64 MiddleName:String Mobile:String
    Nationality:String PackageCode:String Phone:String PhoneExtension:String PictureUrl:String ServerTime:String
    ServerUtcOffset:Double ThumbnailPicture:Binary ThumbnailPictureFormat:String Title:String UserName:String
"""

_DIVISION = """
    Code:Int32 AddressLine1:String AddressLine2:String AddressLine3:String ArchiveDate:DateTime BlockingStatus:Int32
    BusinessTypeCode:String BusinessTypeDescription:String ChamberOfCommerceEstablishment:String
    ChamberOfCommerceNumber:String City:String Class_01:Exact.Web.Api.Models.HRM.DivisionClass
    Class_02:Exact.Web.Api.Models.HRM.DivisionClass Class_03:Exact.Web.Api.Models.HRM.DivisionClass
    Class_04:Exact.Web.Api.Models.HRM.DivisionClass Class_05:Exact.Web.Api.Models.HRM.DivisionClass
    CompanySizeCode:String CompanySizeDescription:String Country:String Created:DateTime Creator:Guid
    CreatorFullName:String Currency:String Current:Boolean Customer:Guid CustomerCode:String CustomerName:String
    DatevAccountantNumber:String DatevClientNumber:String Description:String DivisionHRLinkUnlinkDate:DateTime
    DivisionMoveDate:DateTime Email:String Fax:String Hid:Int64 IsDossierDivision:Boolean IsHRDivision:Boolean
    IsMainDivision:Boolean IsPracticeDivision:Boolean Legislation:String Modified:DateTime Modifier:Guid
    ModifierFullName:String OBNumber:String Phone:String Postcode:String SbiCode:String SbiDescription:String
    SectorCode:String SectorDescription:String ShareCapital:Double SiretNumber:String StartDate:DateTime
    State:String Status:Int32 SubsectorCode:String SubsectorDescription:String TaxOfficeNumber:String
    TaxReferenceNumber:String TemplateCode:String VATNumber:String Website:String
"""

_HRM_DIVISION = """
    Code:Int32 ArchiveDate:DateTime BlockingStatus:Int32 Class_01:DivisionClasses Class_02:DivisionClasses
    Class_03:DivisionClasses Class_04:DivisionClasses Class_05:DivisionClasses Country:String
    CountryDescription:String Created:DateTime Creator:Guid CreatorFullName:String Currency:String
    CurrencyDescription:String Customer:Guid CustomerCode:String CustomerName:String Description:String HID:Int64
    Main:Boolean Modified:DateTime Modifier:Guid ModifierFullName:String OBNumber:String SiretNumber:String
    StartDate:DateTime Status:Int16 TaxOfficeNumber:String TaxReferenceNumber:String TemplateCode:String
    VATNumber:String Website:String
"""

_DELETED = """
    Timestamp:Int64 DeletedBy:Guid DeletedDate:DateTime Division:Int32 EntityKey:Guid EntityType:Int32 ID:Guid
"""

_SYNC_TIMESTAMP = """
    Modified:DateTime API:String TimeStampAsBigInt:Int64
"""

# The class name is recorded for crm/Accounts and current/Me [dotnet fixtures]; the others are unverified.
_MODELS = "Exact.Web.Api.Models."
_ALL_METHODS = ("GET", "POST", "PUT", "DELETE")

ACCOUNTS = EntityType("crm/Accounts", _MODELS + "Account", "ID", _properties(_ACCOUNT), methods=_ALL_METHODS)
ADDRESSES = EntityType("crm/Addresses", _MODELS + "Address", "ID", _properties(_ADDRESS))
BANK_ACCOUNTS = EntityType("crm/BankAccounts", _MODELS + "BankAccount", "ID", _properties(_BANK_ACCOUNT))
ME = EntityType("current/Me", "Exact.Web.Api.System.Me", "UserID", _properties(_ME))
SYSTEM_DIVISIONS = EntityType("system/Divisions", "Exact.Web.Api.System.Division", "Code", _properties(_DIVISION))
ALL_DIVISIONS = EntityType("system/AllDivisions", "Exact.Web.Api.System.AllDivision", "Code", _properties(_DIVISION))
HRM_DIVISIONS = EntityType("hrm/Divisions", _MODELS + "HRM.Division", "Code", _properties(_HRM_DIVISION))
SYNC_ACCOUNTS = EntityType(
    "sync/CRM/Accounts",
    _MODELS + "Sync.Account",
    "Timestamp",
    _properties(_ACCOUNT, " Timestamp:Int64?"),
    page=1000,
    kind="sync",
)
BULK_ACCOUNTS = EntityType(
    "bulk/CRM/Accounts", _MODELS + "Bulk.Account", "ID", _properties(_ACCOUNT), page=1000, kind="bulk"
)
DELETED = EntityType(
    "sync/Deleted", _MODELS + "Sync.Deleted", "Timestamp", _properties(_DELETED), page=1000, kind="sync"
)
SYNC_TIMESTAMP = EntityType(
    "read/sync/Sync/SyncTimestamp", _MODELS + "Sync.SyncTimestamp", "Modified", _properties(_SYNC_TIMESTAMP)
)

SERVED = (
    ACCOUNTS,
    ADDRESSES,
    BANK_ACCOUNTS,
    ME,
    SYSTEM_DIVISIONS,
    ALL_DIVISIONS,
    HRM_DIVISIONS,
    SYNC_ACCOUNTS,
    BULK_ACCOUNTS,
    DELETED,
    SYNC_TIMESTAMP,
)
