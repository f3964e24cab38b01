"""`koppel write`: one record by hand, shown first, sent once, kept in the trail; a lost answer is never repeated blindly."""

from __future__ import annotations

import json
from typing import Any

import pytest

from koppel.app import Workspace, writing_by_name
from koppel.cli.terminal import Terminal
from koppel.model.anything import Draft
from koppel.model.problem import UsageError


@pytest.fixture
def account(at: Any) -> dict[str, Any]:
    return next(one for one in at.accounts() if one["Name"])


def written(koppel: Any) -> list[dict[str, Any]]:
    return [entry for entry in koppel("log", "--json").json if entry["kind"].startswith("write_")]


def test_the_plan_shows_before_and_after_and_writes_nothing(at: Any, account: Any, koppel: Any) -> None:
    before = at.writes()
    said = koppel(
        "write", "books-nl", "Accounts", "--id", account["ID"], "--set", "Name=Nieuwe naam", "--plan", "--json"
    )
    assert said.code == 0, said.err
    assert said.json["request"] == f"PUT crm/Accounts(guid'{account['ID'].lower()}')"
    assert said.json["fields"] == {"Name": "Nieuwe naam"}
    assert said.json["before"] == {"Name": account["Name"]}
    assert at.writes() == before
    assert written(koppel) == []


def test_a_change_is_sent_once_partially_and_kept_in_the_trail(at: Any, account: Any, koppel: Any) -> None:
    before = at.writes()
    words = ("write", "books-nl", "Accounts", "--id", account["ID"], "--set", "Name=Nieuwe naam", "--yes")
    said = koppel(*words)
    assert said.code == 0, said.err
    assert at.writes() == before + 1
    now = next(one for one in at.accounts() if one["ID"] == account["ID"])
    assert (now["Name"], now["City"]) == ("Nieuwe naam", account["City"])
    entries = written(koppel)
    assert [entry["kind"] for entry in entries] == ["write_begun", "write_done"]
    assert entries[-1]["data"]["fields"]["Name"] == {"before": account["Name"], "after": "Nieuwe naam", "because": ""}
    assert koppel("audit", "verify").code == 0
    said = koppel("log")
    assert "Nieuwe naam" in " ".join(said.out.split())
    said = koppel(*words)
    assert said.code == 0
    assert "nothing to send" in said.out
    assert at.writes() == before + 1


def test_a_new_record_gets_its_id_and_is_read_back(at: Any, koppel: Any, tmp_path: Any) -> None:
    body = tmp_path / "account.json"
    body.write_text(json.dumps({"Name": "Bakkerij Proef", "City": "Ede", "IsSupplier": True}))
    said = koppel("write", "books-nl", "crm/Accounts", "--file", str(body), "--yes", "--json")
    assert said.code == 0, said.err
    assert (said.json["status"], said.json["differs"]) == ("done", [])
    made = next(one for one in at.accounts() if one["ID"] == said.json["id"])
    assert (made["Name"], made["City"], made["IsSupplier"]) == ("Bakkerij Proef", "Ede", True)


def test_a_delete_keeps_what_stood_there(at: Any, koppel: Any) -> None:
    made = koppel("write", "books-nl", "accounts", "--set", "Name=Weg ermee", "--yes", "--json").json["id"]
    said = koppel("write", "books-nl", "accounts", "--id", made, "--delete", "--yes")
    assert said.code == 0, said.err
    assert all(one["ID"] != made for one in at.accounts())
    assert written(koppel)[-1]["data"]["fields"]["Name"]["before"] == "Weg ermee"
    said = koppel("write", "books-nl", "accounts", "--id", made, "--delete", "--yes")
    assert said.code == 2
    assert "has no crm/Accounts" in said.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--set", "Nam=x"), "no property 'Nam'"),
        (("--set", "City=Ede"), "Name must be given"),
        (("--set", "Name=x", "--set", "Blocked=maybe"), "not yes or no"),
        (("--set", "Name=x", "--set", "IsSales=yes"), "read-only"),
        (("--set", "Name=x", "--set", "ID=71b961de-0000-4000-8000-000000000001"), "which Exact Online gives"),
        (("--set", "Name=x", "--set", "InvoiceAccount=71b961de-0000-4000-8000-000000000001"), "Not in this division"),
        (("--set", "Name=x", "--set", "BusinessType=71b961de-0000-4000-8000-000000000001"), "--unchecked BusinessType"),
        (("--set", "Name=x", "--unchecked", "City"), "nothing of that name"),
        (("--set", "Name"), "not NAME=VALUE"),
        (("--set", "Name=x", "--file", "x.json"), "exclude each other"),
        (("--file", "nowhere.json"), "cannot be read"),
        (("--delete",), "Say which record"),
        (("--id", "8", "--set", "Name=x"), "not a GUID"),
        (("--id", "71b961de-0000-4000-8000-000000000001", "--set", "Name=x"), "has no crm/Accounts"),
        (("--id", "71b961de-0000-4000-8000-000000000001", "--delete", "--set", "Name=x"), "takes no values"),
    ],
)
def test_what_is_wrong_is_one_message_and_nothing_is_sent(words: Any, text: str, at: Any, koppel: Any) -> None:
    before = at.writes()
    said = koppel("write", "books-nl", "Accounts", *words, "--yes")
    assert said.code == 2, said.out
    assert text in said.err
    assert "Traceback" not in said.err
    assert at.writes() == before
    assert written(koppel) == []


def test_without_anybody_to_ask_it_is_not_sent(account: Any, koppel: Any) -> None:
    said = koppel("write", "books-nl", "Accounts", "--id", account["ID"], "--set", "Name=Nieuw")
    assert said.code == 2
    assert "nothing was written" in said.err
    assert koppel("write", "books-nl", "TransactionLines", "--set", "AmountDC=1", "--yes").code == 2


def test_a_refusal_is_told_and_recorded(at: Any, account: Any, koppel: Any) -> None:
    at.exact("settings", refuse={"Fout": "Ongeldig: Naam"})
    said = koppel("write", "books-nl", "Accounts", "--id", account["ID"], "--set", "Name=Fout", "--yes")
    assert said.code == 1
    assert "Refused, nothing was written" in said.out
    assert "Ongeldig: Naam" in said.out
    assert written(koppel)[-1]["kind"] == "write_refused"


def test_a_lost_answer_of_a_new_record_is_in_doubt_and_never_sent_again_by_itself(at: Any, koppel: Any) -> None:
    before = at.writes()
    words = ("write", "books-nl", "Accounts", "--set", "Name=Eenmalig", "--yes")
    at.fault(system="exact", method="POST", path="crm/Accounts", kind="lose_reply")
    said = koppel(*words)
    assert said.code == 1
    assert "In doubt" in said.out
    assert "1 record(s) like it" in said.out
    assert at.writes() == before + 1
    said = koppel(*words)
    assert said.code == 2
    assert "its answer was lost" in said.err
    assert at.writes() == before + 1, "it was not sent again"
    at.wait(3600)
    assert koppel(*words).code == 2, "time alone proves nothing of a new record"
    assert koppel(*words, "--again").code == 0, "somebody has looked, and says so"
    assert at.writes() == before + 2


def test_a_person_who_has_found_it_settles_what_was_in_doubt(at: Any, koppel: Any) -> None:
    words = ("write", "books-nl", "Accounts", "--set", "Name=Gevonden", "--yes")
    said = koppel(*words[:-1], "--arrived", "71b961de-0000-4000-8000-000000000001")
    assert said.code == 2
    assert "in doubt" in said.err
    at.fault(system="exact", method="POST", path="crm/Accounts", kind="lose_reply")
    assert koppel(*words).code == 1
    made = next(one["ID"] for one in at.accounts() if one["Name"] == "Gevonden")
    before = at.writes()
    for wrong in ("71b961de-0000-4000-8000-000000000001", "nonsense"):
        assert koppel(*words[:-1], "--arrived", wrong).code == 2
    said = koppel(*words[:-1], "--arrived", made, "--json")
    assert said.code == 0, said.err
    assert (said.json["status"], said.json["id"], said.json["differs"]) == ("done", made, [])
    assert at.writes() == before
    assert "has found it" in written(koppel)[-1]["data"]["because"]
    assert koppel(*words).code == 0, "another with the same values is a new wish"
    assert at.writes() == before + 1


def test_a_lost_answer_of_a_change_is_looked_up(at: Any, account: Any, koppel: Any) -> None:
    words = ("write", "books-nl", "Accounts", "--id", account["ID"], "--set", "Name=Aangekomen", "--yes")
    at.fault(system="exact", method="PUT", kind="lose_reply")
    said = koppel(*words)
    assert said.code == 0, said.out
    assert written(koppel)[-1]["data"]["by_probe"] is True


def test_a_change_that_did_not_arrive_is_sent_again_only_when_it_cannot_arrive_any_more(
    at: Any, account: Any, koppel: Any
) -> None:
    words = ("write", "books-nl", "Accounts", "--id", account["ID"], "--set", "Name=Onderweg", "--yes")
    at.fault(system="exact", method="PUT", kind="lose_request")
    said = koppel(*words)
    assert said.code == 1
    assert "In doubt" in said.out
    said = koppel(*words)
    assert said.code == 2
    assert "in a minute" in said.err
    at.wait(61)
    assert koppel(*words).code == 0


def test_what_could_not_leave_is_not_in_doubt(at: Any, koppel: Any) -> None:
    words = ("write", "books-nl", "Accounts", "--set", "Name=Geweigerd", "--yes")
    at.fault(system="exact", method="POST", path="crm/Accounts", kind="status", status=403)
    said = koppel(*words)
    assert said.code == 3, said.out + said.err
    assert written(koppel)[-1]["kind"] == "write_not_sent"
    assert koppel(*words).code == 0


def test_what_was_taken_stays_done_when_it_cannot_be_read_back(at: Any, koppel: Any) -> None:
    words = ("write", "books-nl", "Accounts", "--set", "Name=Genomen", "--yes")
    at.fault(system="exact", method="GET", path="crm/Accounts(guid", kind="status", status=403)
    said = koppel(*words)
    assert said.code == 0, said.out + said.err
    assert "could not be read back" in said.out
    assert written(koppel)[-1]["kind"] == "write_done"
    assert sum(one["Name"] == "Genomen" for one in at.accounts()) == 1


def test_a_process_that_dies_while_sending_leaves_it_in_doubt(at: Any, koppel: Any) -> None:
    """What was begun and has no end is treated as if its answer was lost."""

    class Killed(BaseException):
        pass

    async def kill(point: str) -> None:
        if point == "after send write":
            raise Killed

    before = at.writes()
    draft = Draft(name="Accounts", kind="create", values={"Name": "Halverwege"}, typed=True)
    with Workspace.open(at.folder) as ws:
        prepared = writing_by_name.prepare(ws, "books-nl", draft)
        ws.point = kill
        with pytest.raises(Killed):
            writing_by_name.write(ws, "books-nl", draft, prepared)
    assert at.writes() == before + 1
    assert [entry["kind"] for entry in written(koppel)] == ["write_begun"]
    said = koppel("write", "books-nl", "Accounts", "--set", "Name=Halverwege", "--yes")
    assert said.code == 2
    assert "its answer was lost" in said.err
    assert at.writes() == before + 1


def test_what_changed_since_it_was_shown_is_not_written(at: Any, account: dict[str, Any]) -> None:
    draft = Draft(name="Accounts", kind="update", native=account["ID"], values={"Name": "Nieuw"}, typed=True)
    with Workspace.open(at.folder) as ws:
        prepared = writing_by_name.prepare(ws, "books-nl", draft)
        at.exact("edit", id=account["ID"], set={"Name": "Iemand anders"})
        before = at.writes()
        with pytest.raises(UsageError, match="changed since this was shown"):
            writing_by_name.write(ws, "books-nl", draft, prepared)
    assert at.writes() == before


@pytest.mark.parametrize(("answer", "writes"), [("yes", 1), ("no", 0), ("", 0)])
def test_a_person_is_shown_what_would_be_sent_and_asked(
    answer: str, writes: int, at: Any, account: Any, koppel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Terminal, "can_ask", True)
    monkeypatch.setattr(Terminal, "ask", lambda _self, question, **_more: answer)
    before = at.writes()
    said = koppel("write", "books-nl", "Accounts", "--id", account["ID"], "--set", "Name=Nieuwe naam")
    assert said.code == 0, said.err
    words = " ".join(said.out.split())
    assert "This would change crm/Accounts" in words
    assert "Nieuwe naam" in words
    assert at.writes() == before + writes
