"""An imitation of AFAS Profit's REST services: three environments, GetConnectors, UpdateConnectors, metainfo, sign-in.

Written from the vendor's documentation and what clients observed, without any code of the client it tests. What the
sources do not tell is marked `unverified`; where it matters a setting chooses (`control("settings", …)`). Paths are
`/{member}/{environment}/ProfitRestServices/…`: at the vendor member and environment stand in the host's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from koppel.model.values import Json
from koppel.systems.afas import sandbox_metainfo as metainfo
from koppel.systems.afas import sandbox_seed as seed
from koppel.systems.afas.sandbox_control import control
from koppel.systems.afas.sandbox_errors import Refused, answer, language_of
from koppel.systems.afas.sandbox_read import rows
from koppel.systems.afas.sandbox_signin import CLIENT_ID, CLIENT_SECRET, USER, Classic, SignIn
from koppel.systems.afas.sandbox_state import LETTERS, MEMBER, Environment, State
from koppel.systems.afas.sandbox_write import plain, write
from koppel.systems.sandbox_spi import Sandbox, World
from koppel.systems.spi import Request, Response

LONGEST_QUERY = 2049  # the question mark included [MD get-connector]
LARGEST_BODY = 75 * 2**20  # [MD troubleshooting]
MOST_PARALLEL = 8  # [MD troubleshooting]
MAINTENANCE = 7200
VERSION = "8.0.12"
_PATH = re.compile(r"/([^/]+)/([^/]+)/profitrestservices(?:/(.*))?", re.IGNORECASE)
# [OAS responses]; bodies are neither chunked nor compressed here
_HEADERS = {
    "cache-control": "no-store, no-cache",
    "strict-transport-security": "max-age=31536000",
    "x-afas-proxy-version": "4.3.0.0",
    "x-afas-proxy-stats": "init(0ms), before response(10ms)",
    "x-content-type-options": "nosniff",
    "x-frame-options": "deny",
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "Content-Type, Accept, Authorization, OnlineSessionId, Accept-Language",
    "access-control-allow-methods": "GET, POST, PUT, DELETE, OPTIONS",
    "access-control-max-age": "1728000",
}


def make(world: World) -> Sandbox:
    """The imitation, seeded from the world."""
    return AfasSandbox(world)


@dataclass(frozen=True, slots=True)
class _Ask:
    """One request on its way in; names of headers are lower-case."""

    request: Request
    headers: dict[str, str]
    environment: Environment
    rest: str
    query: str
    language: str
    base: str


class AfasSandbox:
    """The door; see `Sandbox`."""

    name = "afas"
    base_path = "/afas"

    def __init__(self, world: World) -> None:
        books = seed.begin(world.seed, world.companies, world.now())
        environments = {name: Environment(name, books[name], SignIn(world.seed, name)) for name in LETTERS}
        for environment in environments.values():
            environment.sign_in.new_token()
        cities = {company.postcode.replace(" ", "").upper(): company.city for company in world.companies}
        self.state = State(world.seed, world.now, environments, cities)

    def handle(self, path: str, request: Request) -> Response:
        """Answer one request."""
        response = self._answer(unquote(path.partition("?")[0]), request)
        return Response(response.status, {**_HEADERS, **response.headers}, response.body)

    def _answer(self, path: str, request: Request) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        match = _PATH.fullmatch(path)
        environment = self.state.environments.get(match.group(2).casefold()) if match else None
        if match is None or environment is None or match.group(1) != MEMBER:
            return Response(404)
        address, mark, query = request.url.partition("?")
        if request.method == "OPTIONS":
            return Response(200)
        refusal = self._at_the_gate(request, mark + query)
        if refusal is not None:
            return refusal
        environment.books.settle(self.state.now())
        language = language_of(headers.get("accept-language", ""), self.state.switches.language)
        rest = (match.group(3) or "").strip("/")
        cut = re.search(r"/profitrestservices", address, re.IGNORECASE)
        base = address[: cut.end()] if cut else address
        ask = _Ask(request, headers, environment, rest, query, language, base)
        try:
            return self._open(ask) or self._signed_in(ask)
        except Refused as refused:
            if request.method != "GET":
                self.state.refused += 1
            return answer(refused.status, refused.body(language, self.state.reference()))

    def _at_the_gate(self, request: Request, query: str) -> Response | None:
        """What is refused before anybody looks at the token."""
        switches = self.state.switches
        if switches.ip_restricted:
            return Response(403)
        if switches.maintenance:
            told = {"code": "503", "message": "AFAS Profit is being maintained."}
            response = answer(503, {"error": told, "retry_after": MAINTENANCE})
            return Response(503, {**response.headers, "retry-after": str(MAINTENANCE)}, response.body)
        if len(query) > LONGEST_QUERY:
            return Response(404)
        return Response(413) if len(request.body) > LARGEST_BODY else None

    def _open(self, ask: _Ask) -> Response | None:
        """What needs no token: making one."""
        if ask.request.method != "POST":
            return None
        sign_in, body, now = ask.environment.sign_in, ask.request.body, self.state.now()
        match ask.rest.casefold():
            case "otprequest":
                return sign_in.request_code(body, now)
            case "otpvalidation":
                return sign_in.validate_code(body, now)
            case "oauth/token":
                return sign_in.token(body, ask.headers, frozenset({ask.base, f"{ask.base}/oauth/token"}), now)
            case _:
                return None

    def _signed_in(self, ask: _Ask) -> Response:
        header = ask.headers.get("authorization", "")
        token = ask.environment.sign_in.admits(header, self.state.now())
        if token is None:  # its body is not known; the header comes with Profit 9 [MD authentication]
            challenge = 'Bearer error="invalid_token"' if header else "Bearer, DPoP"
            return Response(401, {"www-authenticate": challenge})
        if self.state.switches.in_flight >= MOST_PARALLEL:  # how one call too many is refused is unverified
            raise Refused("unexpected")
        response = self._route(ask, token)
        if self.state.switches.timeout:  # after 900 s; what the server does goes on [MD troubleshooting]
            raise Refused("timeout")
        return response

    def _route(self, ask: _Ask, token: Classic | str) -> Response:
        state, environment = self.state, ask.environment
        head, *below = ask.rest.split("/")
        match ask.request.method, head.casefold(), below:
            case "GET", "metainfo", []:
                return answer(200, metainfo.overview(state, environment, token, ask.language))
            case "GET", "metainfo", [kind, id_] if kind.casefold() == "get":
                return answer(200, metainfo.get_fields(state, environment, id_, ask.language))
            case "GET", "metainfo", [kind, id_] if kind.casefold() == "update":
                return answer(200, metainfo.update_fields(state, environment, id_, ask.language))
            case "GET", "profitversion", []:
                if metainfo.VERSION_CONNECTOR in state.switches.hide_connector:  # [DG]
                    raise Refused("get_denied", status=401)
                return answer(200, {"version": VERSION})
            case "GET", "connectors", [id_]:
                return rows(state, environment, id_, ask.query)
            case ("POST" | "PUT") as method, "connectors", [id_]:
                return write(state, environment, method, id_, None, self._body(ask))
            case "POST", "connectors", [id_, below_it]:
                return write(state, environment, "POST", id_, below_it, self._body(ask))
            case "DELETE", "connectors", [_, *_]:  # none of the connectors here has it [OAS]
                raise Refused("update_denied")
            case _:
                return Response(404)

    def _body(self, ask: _Ask) -> bytes:
        """The body, whatever the content type; without a charset it may lose letters. [HELP App_Cnr_Rest_Update]"""
        body = ask.request.body
        if not self.state.switches.needs_charset or "charset=utf-8" in ask.headers.get("content-type", "").casefold():
            return body
        return body.decode("utf-8", "replace").encode("ascii", "replace")

    def control(self, action: str, body: dict[str, Json]) -> dict[str, Json]:
        """Do something a person or the vendor would do. Raises ValueError for an unknown action or a bad body."""
        return control(self.state, action, body)

    def contract(self, base_url: str) -> dict[str, Json]:
        """What a client needs to connect to each environment."""
        environments: dict[str, Json] = {}
        for name, environment in self.state.environments.items():
            sign_in = environment.sign_in
            environments[name] = {
                "base_url": f"{base_url}/{MEMBER}/{name}/ProfitRestServices",
                "token": sign_in.current(self.state.now()).xml,
                "api_key": sign_in.api_key,
                "environment_key": sign_in.environment_key,
                "user_id": USER,
            }
        first = environments["production"]
        return {
            "base_url": first["base_url"],
            "token": first["token"],
            "environments": environments,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        }

    def snapshot(self) -> Json:
        """Contacts of every environment, without the stamps that only say when."""
        return {name: _essence(environment) for name, environment in sorted(self.state.environments.items())}


def _essence(environment: Environment) -> dict[str, Json]:
    books = environment.books

    def shown(row: dict[str, Json]) -> dict[str, Json]:
        """Which address record it is and since when is not business."""
        places: dict[str, Json] = {}
        for side in ("Adr", "Pad"):
            kept = [plain(books.addresses[id_]) for _, id_ in row.get(side, ())]
            places[side] = [{name: value for name, value in one.items() if name != "AddressId"} for one in kept]
        return {**plain(row), **{side: kept for side, kept in places.items() if kept}}

    return {
        "organisations": [shown(row) for _, row in sorted(books.organisations.items())],
        "debtors": [plain(row) for _, row in sorted(books.debtors.items())],
        "creditors": [plain(row) for _, row in sorted(books.creditors.items())],
        "removed": list(books.removed),
    }
