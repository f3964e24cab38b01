"""An account's own description is read with its inheritance, and nothing in it can do harm."""

from __future__ import annotations

from koppel.systems.exact import edmx
from koppel.systems.exact.vendor_table import resources

BODY = b"""<Edmx xmlns="http://schemas.microsoft.com/ado/2007/06/edmx"><DataServices><Schema xmlns="http://x/edm">
<EntityType Name="Base"><Property Name="ID" Type="Edm.Guid"/></EntityType>
<EntityType Name="Unit" BaseType="Exact.Base"><Property Name="Code" Type="Edm.String" MaxLength="8"/>
<Property Name="Description" Type="Edm.String" MaxLength="Max"/><NavigationProperty Name="Lines"/></EntityType>
<EntityType Name="A" BaseType="Exact.A"/><EntityContainer><EntitySet Name="Units" EntityType="Exact.Unit"/></EntityContainer>
</Schema></DataServices></Edmx>"""


def test_a_type_holds_what_it_inherits_and_its_stated_lengths() -> None:
    service = edmx.read(BODY)
    assert service is not None
    unit = service.of("logistics/Units")
    assert unit is not None
    assert unit.types == {"ID": "Guid", "Code": "String", "Description": "String"}
    assert unit.lengths == {"Code": 8}
    assert unit.collections == {"Lines"}
    assert service.of("logistics/Items") is None


def test_what_is_no_description_or_could_do_harm_is_not_read() -> None:
    assert edmx.read(b"<html>") is None
    assert edmx.read(b'<!DOCTYPE a [<!ENTITY b "c">]><a/>') is None


def test_the_account_decides_what_is_there_and_our_table_of_which_type() -> None:
    units = resources()["logistics/Units"]
    service = edmx.read(BODY)
    assert service is not None
    assert edmx.types(units, service.of("logistics/Units")) == {"ID": "Guid", "Code": "String", "Description": "String"}
    assert edmx.types(units, None) == {p.name: p.type for p in units.properties.values()}
