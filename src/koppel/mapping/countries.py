"""Country names as people and registers write them (Dutch, English, their own language) and their ISO 3166 codes."""

from __future__ import annotations

import re
import unicodedata

# code: Dutch name, then what else is written. The Dutch name is the one we give back.
_NAMES: dict[str, str] = {
    "NL": "Nederland|Netherlands|The Netherlands|Holland",
    "BE": "België|Belgium|Belgique|Belgien",
    "DE": "Duitsland|Germany|Deutschland",
    "FR": "Frankrijk|France",
    "LU": "Luxemburg|Luxembourg|Luxembourg (Groothertogdom)",
    "GB": "Verenigd Koninkrijk|United Kingdom|Great Britain|Groot-Brittannië|Engeland|England|UK",
    "IE": "Ierland|Ireland",
    "AT": "Oostenrijk|Austria|Österreich",
    "CH": "Zwitserland|Switzerland|Schweiz|Suisse",
    "LI": "Liechtenstein",
    "ES": "Spanje|Spain|España",
    "PT": "Portugal",
    "IT": "Italië|Italy|Italia",
    "GR": "Griekenland|Greece",
    "DK": "Denemarken|Denmark|Danmark",
    "SE": "Zweden|Sweden|Sverige",
    "NO": "Noorwegen|Norway|Norge",
    "FI": "Finland|Suomi",
    "IS": "IJsland|Iceland",
    "PL": "Polen|Poland|Polska",
    "CZ": "Tsjechië|Czechia|Czech Republic|Tsjechische Republiek",
    "SK": "Slowakije|Slovakia",
    "HU": "Hongarije|Hungary",
    "SI": "Slovenië|Slovenia",
    "HR": "Kroatië|Croatia",
    "RO": "Roemenië|Romania",
    "BG": "Bulgarije|Bulgaria",
    "EE": "Estland|Estonia",
    "LV": "Letland|Latvia",
    "LT": "Litouwen|Lithuania",
    "MT": "Malta",
    "CY": "Cyprus",
    "RS": "Servië|Serbia",
    "BA": "Bosnië en Herzegovina|Bosnië-Herzegovina|Bosnia and Herzegovina",
    "ME": "Montenegro",
    "MK": "Noord-Macedonië|North Macedonia",
    "AL": "Albanië|Albania",
    "UA": "Oekraïne|Ukraine",
    "MD": "Moldavië|Moldova",
    "RU": "Rusland|Russia|Russian Federation",
    "TR": "Turkije|Turkey|Türkiye",
    "MC": "Monaco",
    "AD": "Andorra",
    "SM": "San Marino",
    "US": "Verenigde Staten|United States|Verenigde Staten van Amerika|United States of America|USA|VS",
    "CA": "Canada",
    "MX": "Mexico",
    "BR": "Brazilië|Brazil",
    "AR": "Argentinië|Argentina",
    "SR": "Suriname",
    "AW": "Aruba",
    "CW": "Curaçao",
    "SX": "Sint Maarten",
    "BQ": "Caribisch Nederland|Bonaire, Sint Eustatius en Saba",
    "CN": "China",
    "HK": "Hongkong|Hong Kong",
    "TW": "Taiwan",
    "JP": "Japan",
    "KR": "Zuid-Korea|South Korea",
    "IN": "India",
    "ID": "Indonesië|Indonesia",
    "TH": "Thailand",
    "VN": "Vietnam",
    "SG": "Singapore",
    "MY": "Maleisië|Malaysia",
    "AU": "Australië|Australia",
    "NZ": "Nieuw-Zeeland|New Zealand",
    "ZA": "Zuid-Afrika|South Africa",
    "MA": "Marokko|Morocco",
    "TN": "Tunesië|Tunisia",
    "EG": "Egypte|Egypt",
    "NG": "Nigeria",
    "KE": "Kenia|Kenya",
    "IL": "Israël|Israel",
    "AE": "Verenigde Arabische Emiraten|United Arab Emirates",
    "SA": "Saoedi-Arabië|Saudi Arabia",
}


def _plain(name: str) -> str:
    """Letters only, without accents, lower case: what spellings of one name share."""
    bare = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z]", "", bare.lower())


_CODES = {_plain(name): code for code, names in _NAMES.items() for name in names.split("|")}


def country_code(name: str) -> str:
    """The code of a country's name; a code is returned as it is. Raises ValueError for a name that is not known.

    >>> country_code("belgie"), country_code("nl")
    ('BE', 'NL')
    """
    code = name.strip().upper()
    if code in _NAMES:
        return code
    found = _CODES.get(_plain(name))
    if found is None:
        raise ValueError(f"{name!r} is not a country name that is known here; use a table to translate it")
    return found


def country_name(code: str) -> str:
    """The Dutch name of a country. Raises ValueError for a code that is not known.

    >>> country_name("BE")
    'België'
    """
    names = _NAMES.get(code.strip().upper())
    if names is None:
        raise ValueError(f"{code!r} is not a country code that is known here; use a table to translate it")
    return names.split("|")[0]
