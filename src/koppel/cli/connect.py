"""`koppel connect`: make or change a connection, sign in, choose the division, and check it with one harmless read.

Secrets are typed unseen, or come from standard input or the environment; they are sealed into the store and never printed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from koppel.cli.terminal import DONE, Terminal, Unbroken, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from koppel.app import Checked, Workspace
    from koppel.config.settings_form import Setting


Ask: TypeAlias = tuple[str, str, bool]  # name, title, secret


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("connect")(connect)


@command
def connect(
    terminal: Terminal,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The connection's name, for instance books-nl.")],
    system: Annotated[
        str | None, typer.Option("--system", "-s", metavar="SYSTEM", help="Which system it is an account of.")
    ] = None,
    settings: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="A setting; may be given several times.")
    ] = [],  # noqa: B006 - typer reads the default
    secret_stdin: Annotated[
        list[str],
        typer.Option(
            "--secret-stdin",
            metavar="KEY",
            help="Read this secret from standard input; given several times, one line for each.",
        ),
    ] = [],  # noqa: B006
    code: Annotated[
        str | None,
        typer.Option(
            "--code", metavar="CODE", help="The code from the sign-in or the e-mail, or the whole address it came in."
        ),
    ] = None,
    by_mail: Annotated[
        bool,
        typer.Option("--by-mail", help="Have the vendor e-mail a code, and exchange it for a token (AFAS)."),
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Do one harmless read and report.")] = False,
    help_text: Annotated[
        bool, typer.Option("--help-text", help="How to set up a real account of this system.")
    ] = False,
) -> int:
    """Connect an account: settings, sign-in, division. Without options it asks for what is missing.

    Secrets may also stand in the environment: KOPPEL_BOOKS_NL_CLIENT_SECRET for the setting client_secret of books-nl.

    Example: koppel connect register --system kvk
             koppel connect books-nl --system exact --secret-stdin client_secret < secret
             koppel connect books-nl --code 'https://you.example/back?code=...'
             koppel connect books-nl --check
             koppel connect profit --by-mail
    """
    from koppel.model.problem import UsageError

    with terminal.workspace() as ws:
        known = ws.config.connections.get(name)
        chosen = system or (known.system if known else None) or _ask_system(terminal, name)
        if help_text:
            return _help(terminal, chosen)
        if known is not None and chosen != known.system:
            raise UsageError(
                f"{name} is a connection of {known.system} already.",
                remedy=f"Choose another name, or remove [connections.{name}] from koppel.toml first.",
            )
        asks = _asks(chosen) if by_mail else {}
        given, answers = _given(chosen, settings, secret_stdin, asks)
        if known is None or given or (code is None and not check and not by_mail):
            given = _asked(terminal, ws, name, chosen, given, new=known is None, secrets=not by_mail)
            _keep(ws, name, chosen, given, new=known is None)
        if by_mail:
            return _by_mail(terminal, ws, name, asks, answers, code)
        signed_in, url, fresh = _sign_in(terminal, ws, name, code, quiet=check)
        accounts = _accounts(ws, name, signed_in=signed_in, fresh=fresh)
        _choose(terminal, ws, name, chosen, accounts)
        checked = ws.check_connection(name) if check else None
        value = _value(ws, name, chosen, signed_in=signed_in, url=url, accounts=accounts, checked=checked)
        terminal.show(value, lambda: _human(value, checked, link_shown=terminal.can_ask))
    return DONE


# --- settings -----------------------------------------------------------------------------------------------------------


def _ask_system(terminal: Terminal, name: str) -> str:
    from koppel.model.problem import UsageError
    from koppel.systems import registry

    if terminal.can_ask:
        for known in registry.names():
            terminal.note(f"  {known:<12} {registry.load(known).title}")
        return terminal.ask(f"Which system is {name} an account of?")
    raise UsageError(
        f"Say which system {name} is an account of.",
        remedy=f"koppel connect {name} --system {'|'.join(registry.names())}",
    )


def _given(
    system: str, typed: Sequence[str], secret_stdin: Sequence[str], asks: Mapping[str, Ask]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Settings from the command line and from standard input, and answers to what is asked besides. Raises UsageError."""
    from koppel.config.settings_form import read_setting, settings_form
    from koppel.model.problem import UsageError

    secret = {setting.name for setting in settings_form(system) if setting.secret}
    secret |= {name for name, (_, _, hidden) in asks.items() if hidden}
    given: dict[str, Any] = {}
    answers: dict[str, str] = {}

    def take(key: str, value: str) -> None:
        if key in asks:
            answers[key] = value
        else:
            given[key] = read_setting(system, key, value)

    for text in typed:
        key, sign, value = text.partition("=")
        if not sign:
            raise UsageError("--set needs KEY=VALUE.", remedy="For instance: --set division=123456")
        take(key.strip(), value)
    for key in secret_stdin:
        if key not in secret:
            raise UsageError(
                f"{key!r} is no secret setting.", remedy=f"Secret are: {', '.join(sorted(secret)) or 'none'}."
            )
        value = sys.stdin.readline().strip()
        if not value:
            raise UsageError(f"Standard input held nothing for {key}.")
        take(key, value)
    return given, answers


def _asked(
    terminal: Terminal, ws: Workspace, name: str, system: str, given: dict[str, Any], *, new: bool, secrets: bool = True
) -> dict[str, Any]:
    """What is given, and what a person at the terminal adds: everything for a new connection, else what is missing.

    Without `secrets` no secret is asked for that may be left out: it comes by another way.
    """
    from koppel.config.settings_form import read_setting, settings_form
    from koppel.model.problem import SetupError, UsageError

    if not terminal.can_ask:
        return given
    incomplete = new
    if not new:
        try:
            ws.connection(name)
        except SetupError:
            incomplete = True
    if not incomplete:
        return given
    answers = dict(given)
    for setting in settings_form(system):
        if setting.name in answers or setting.advanced or setting.chosen_from or _in_environment(name, setting):
            continue
        if setting.secret and not secrets and not setting.required:
            continue
        if given and not setting.required:
            continue  # who names settings wants only to be asked for what cannot be left out
        terminal.note(_explained(setting))
        while True:
            typed = terminal.ask(_question(setting), default=_default(setting), secret=setting.secret)
            if not typed and not setting.required:
                break
            try:
                value = read_setting(system, setting.name, typed)
            except UsageError as error:
                terminal.complain(error.message, error.remedy)
                continue
            if value != setting.default:
                answers[setting.name] = value
            break
    return answers


def _keep(ws: Workspace, name: str, system: str, given: dict[str, Any], *, new: bool) -> None:
    """Store settings, when there are any to store. Raises UsageError before anything is written."""
    from koppel.app.finding import reached_or_raise
    from koppel.config.settings_form import settings_form
    from koppel.model.problem import SetupError, UsageError

    form = settings_form(system)
    missing = [s for s in form if new and s.required and s.name not in given and not _in_environment(name, s)]
    if missing:
        ways = (f"--secret-stdin {s.name}" if s.secret else f"--set {s.name}=..." for s in missing)
        told = ", ".join(f"{s.name} ({s.title})" for s in missing)
        raise UsageError(
            f"{name} lacks: {told}.", remedy=f"Give them: koppel connect {name} --system {system} {' '.join(ways)}"
        )
    chosen = [s for s in form if s.chosen_from == "accounts" and given.get(s.name) is not None]
    if chosen and not new and ws.signed_in(name):
        reached_or_raise(ws.connection(name), ws.accounts(name), {s.name: given[s.name] for s in chosen})
    if not (new or given):
        return
    try:
        ws.connect(name, system=system, settings=given)
    except SetupError as error:
        raise UsageError(error.message, remedy="Nothing was stored; mend what was given.") from None


def _in_environment(name: str, setting: Setting) -> bool:
    import os

    from koppel.config.workspace_file import environment_name

    return setting.secret and bool(os.environ.get(environment_name(name, setting.name)))


def _explained(setting: Setting) -> str:
    """What is said above the question: what it is for, and what can be answered."""
    options = [f"  {value}  {meaning}".rstrip() for value, meaning in setting.choices.items()]
    return "\n".join(["", *([setting.description] if setting.description else []), *options])


def _question(setting: Setting) -> str:
    if setting.kind == "switch":
        return f"{setting.title} (yes/no)"
    left_out = not setting.required and setting.default in (None, "")
    return f"{setting.title} (Enter leaves it out)" if left_out else setting.title


def _default(setting: Setting) -> str:
    if setting.kind == "switch":
        return "yes" if setting.default else "no"
    return "" if setting.default is None else str(setting.default)


# --- signing in ---------------------------------------------------------------------------------------------------------


def _sign_in(
    terminal: Terminal, ws: Workspace, name: str, code: str | None, *, quiet: bool
) -> tuple[bool | None, str | None, bool]:
    """Redeem a code; else give the link, and on a terminal take what is pasted.

    Gives whether somebody is signed in (None: there is nothing to sign in to), the link, and whether it just happened.
    """
    from koppel.model.problem import UsageError

    signed_in = ws.signed_in(name)
    if signed_in is None:
        if code is not None:
            raise UsageError(f"{name} needs no sign-in.", remedy=f"Try it: koppel connect {name} --check")
        return None, None, False
    if code is not None:
        ws.sign_in(name, code)
        return True, None, True
    if quiet:
        return signed_in, None, False
    url = ws.sign_in_url(name)
    if terminal.can_ask and url is not None:
        terminal.note("Open this address, sign in and allow the app:\n")
        terminal.copyable(url)
        pasted = terminal.ask("\nPaste the address you land on, or its code (Enter: later)")
        if pasted:
            ws.sign_in(name, pasted)
            return True, None, True
    return signed_in, url, False


def _asks(system: str) -> dict[str, Ask]:
    """What a system wants to know before it mails a code, by name. Raises UsageError when it mails none."""
    from koppel.model.problem import UsageError
    from koppel.systems import registry

    way = registry.load(system).auth.by_mail
    if way is None:
        raise UsageError(f"{registry.load(system).title} sends no codes by e-mail.", remedy="Leave --by-mail out.")
    return {ask[0]: ask for ask in way.asks}


def _by_mail(
    terminal: Terminal, ws: Workspace, name: str, asks: Mapping[str, Ask], answers: dict[str, str], code: str | None
) -> int:
    """Have a code mailed unless it is here already, exchange it for a key, and see whether the key works."""
    answers = _answers(terminal, name, asks, answers)
    advice = ws.mailed_code(name).advice
    if code is None:
        ws.mail_code(name, answers)
        if not terminal.can_ask:
            value = {"connection": name, "code": "asked for", "advice": advice}
            again = f"Next, with the same answers: koppel connect {name} --by-mail --code CODE"
            terminal.show(value, lambda: ["A code was asked for.", advice, again])
            return DONE
        terminal.note(f"A code was asked for. {advice}")
        code = terminal.ask("The code from the e-mail (Enter: later, with --code)")
        if not code:
            return DONE
    ws.redeem_mailed_code(name, answers, code)
    checked = ws.check_connection(name)
    value = _value(ws, name, ws.config.connections[name].system, signed_in=None, url=None, accounts=(), checked=checked)
    terminal.show(value, lambda: _human(value, checked, link_shown=False))
    return DONE


def _answers(terminal: Terminal, name: str, asks: Mapping[str, Ask], answers: dict[str, str]) -> dict[str, str]:
    """The answers given, those in the environment, and what a person adds. Raises UsageError for what is missing."""
    import os

    from koppel.config.workspace_file import environment_name
    from koppel.model.problem import UsageError

    found = dict(answers)
    for key, title, hidden in asks.values():
        found[key] = found.get(key) or os.environ.get(environment_name(name, key)) or ""
        if not found[key] and terminal.can_ask:
            found[key] = terminal.ask(title, secret=hidden)
    missing = [ask for ask in asks.values() if not found[ask[0]]]
    if missing:
        ways = " ".join(f"--secret-stdin {key}" if hidden else f"--set {key}=..." for key, _, hidden in missing)
        raise UsageError(
            f"To mail a code, these are needed: {', '.join(f'{key} ({title})' for key, title, _ in missing)}.",
            remedy=f"Give them: koppel connect {name} --by-mail {ways}",
        )
    return found


def _accounts(ws: Workspace, name: str, *, signed_in: bool | None, fresh: bool) -> tuple[tuple[str, str], ...]:
    """What a login reaches, when it is fresh or something must still be chosen from it."""
    from koppel.app.finding import reached_or_raise
    from koppel.config.settings_form import settings_form

    connection = ws.connection(name)
    choosing = [s for s in settings_form(connection.system.name) if s.chosen_from == "accounts"]
    unset = any(getattr(connection.settings, setting.name, None) is None for setting in choosing)
    if not choosing or not signed_in or not (unset or fresh):
        return ()
    accounts = ws.accounts(name)
    reached_or_raise(connection, accounts)
    return accounts


def _choose(terminal: Terminal, ws: Workspace, name: str, system: str, accounts: Sequence[tuple[str, str]]) -> None:
    """Set what is chosen from the accounts when it is missing: the only one, or what a person picks."""
    from koppel.config.settings_form import read_setting, settings_form

    setting = next((s for s in settings_form(system) if s.chosen_from == "accounts"), None)
    if setting is None or not accounts or getattr(ws.connection(name).settings, setting.name) is not None:
        return
    picked = accounts[0][0] if len(accounts) == 1 else ""
    if not picked and terminal.can_ask:
        for id_, title in accounts:
            terminal.note(f"  {id_:<12} {title}")
        picked = terminal.ask(f"{setting.title}: which number? (Enter: later)")
    if picked:
        ws.connect(name, settings={setting.name: read_setting(system, setting.name, picked)})


# --- telling ------------------------------------------------------------------------------------------------------------


def _help(terminal: Terminal, system: str) -> int:
    from koppel.systems import registry

    registry.load(system)
    text = registry.help_text(system)
    terminal.show({"system": system, "help": text}, lambda: [text])
    return DONE


def _value(
    ws: Workspace, name: str, system: str, *, signed_in: bool | None, url: str | None,
    accounts: Sequence[tuple[str, str]], checked: Checked | None,
) -> dict[str, Any]:  # fmt: skip
    import msgspec

    from koppel.app import sign_ins
    from koppel.config.settings_form import settings_form

    connection = ws.connection(name)
    standing = sign_ins.standing(ws, name) if signed_in else None
    written = ws.config.connections[name].settings  # as it stands in the file: a path, not the text behind it
    plain = {
        s.name: written.get(s.name, msgspec.to_builtins(getattr(connection.settings, s.name)))
        for s in settings_form(system)
        if not s.secret
    }
    unset = [s.name for s in settings_form(system) if s.chosen_from and plain.get(s.name) is None]
    return {
        "connection": name,
        "system": system,
        "settings": plain,
        "secrets": [s.name for s in settings_form(system) if s.secret],
        "signed_in": signed_in,
        "standing": msgspec.to_builtins(standing),
        "sign_in_url": url if not signed_in else None,
        "accounts": [{"id": id_, "title": title} for id_, title in accounts],
        "unset": unset,
        "checked": msgspec.to_builtins(checked),
    }


def _human(value: dict[str, Any], checked: Checked | None, *, link_shown: bool) -> Iterator[RenderableType]:
    from rich.text import Text

    from koppel.cli.words import counted, shown

    name = value["connection"]
    yield f"{name} is an account of {value['system']}."
    for key, setting in value["settings"].items():
        if setting not in (None, ""):
            yield Unbroken(f"  {key}: {shown(setting)}")
    for key in value["secrets"]:
        yield f"  {key}: kept sealed, not shown"
    if value["standing"]:
        style = "bold red" if value["standing"]["level"] == "attention" else ""
        yield Text(value["standing"]["text"], style)
    if value["accounts"]:
        yield "This sign-in reaches:"
        for account in value["accounts"]:
            yield f"  {account['id']}  {account['title']}"
    if checked is not None:
        yield Text(f"It works: {checked.asked} was read in {counted(checked.calls, 'call')}.", "green")
    if value["sign_in_url"] and link_shown:
        yield Text(f"Nobody is signed in yet. When you are ready: koppel connect {name}", "bold")
    elif value["sign_in_url"]:
        yield Text("Sign in: open this address, allow the app, and paste what you land on:", "bold")
        yield ""
        yield Unbroken(value["sign_in_url"])
        yield ""
        yield f"  koppel connect {name} --code 'ADDRESS OR CODE'"
    elif value["unset"]:
        yield Text(f"Next: koppel connect {name} --set {value['unset'][0]}=...", "bold")
    elif checked is None:
        yield Text(f"Next: koppel connect {name} --check", "bold")
