"""Dutch names of countries, as the register writes them, to ISO 3166 alpha-2. Names are folded: lower case, no accents."""

from __future__ import annotations

from typing import Final

_NAMES = """
AE verenigde arabische emiraten | AL albanie | AM armenie | AR argentinie | AT oostenrijk | AU australie | AW aruba
AZ azerbeidzjan | BA bosnie-herzegovina | BD bangladesh | BE belgie | BG bulgarije | BQ bonaire | BQ caribisch nederland
BR brazilie | BY belarus | BY wit-rusland | CA canada | CH zwitserland | CL chili | CN china | CN volksrepubliek china
CO colombia | CW curacao | CY cyprus | CZ tsjechie | CZ tsjechische republiek | DE duitsland
DE bondsrepubliek duitsland | DK denemarken | EE estland | EG egypte | ES spanje | FI finland | FR frankrijk
GB groot-brittannie | GB verenigd koninkrijk | GB engeland | GE georgie | GG guernsey | GI gibraltar | GR griekenland
HK hongkong | HR kroatie | HU hongarije | ID indonesie | IE ierland | IL israel | IM eiland man | IN india | IR iran
IS ijsland | IT italie | JE jersey | JP japan | KR zuid-korea | KW koeweit | KY kaaimaneilanden | LI liechtenstein
LT litouwen | LU luxemburg | LV letland | MA marokko | MC monaco | MD moldavie | ME montenegro | MK noord-macedonie
MT malta | MX mexico | MY maleisie | NG nigeria | NL nederland | NO noorwegen | NZ nieuw-zeeland | PA panama
PH filipijnen | PK pakistan | PL polen | PT portugal | QA qatar | RO roemenie | RS servie | RU rusland
RU russische federatie | SA saoedi-arabie | SE zweden | SG singapore | SI slovenie | SK slowakije | SM san marino
SR suriname | SX sint maarten | TH thailand | TN tunesie | TR turkije | TW taiwan | UA oekraine
US verenigde staten | US verenigde staten van amerika | VG britse maagdeneilanden | VN vietnam | ZA zuid-afrika
"""

COUNTRIES: Final[dict[str, str]] = {
    name: code
    for code, _, name in (entry.strip().partition(" ") for entry in _NAMES.replace("\n", "|").split("|"))
    if name
}
