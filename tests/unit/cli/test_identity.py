"""Identity by hand, as a person types it."""

from __future__ import annotations

from typing import Any


def linked(koppel: Any) -> tuple[str, str]:
    """A company that is in the register and the books."""
    assert koppel("add", "00100104", "--to", "books-nl").code in (0, 1)
    told = koppel("--json", "identity", "register:companies:00100104").json
    left, right = sorted((m["ref"] for m in told["members"]), key=lambda ref: not ref.startswith("register"))
    return left, right


def test_identity_shows_the_thing_and_unlink_prints_how_to_take_it_back(koppel: Any) -> None:
    left, right = linked(koppel)
    shown = koppel("identity", left)
    assert shown.code == 0
    assert "same kvk" in shown.out or "created by Koppel" in shown.out
    done = koppel("--json", "unlink", left, right)
    assert done.code == 0
    assert koppel("--json", "identity", right).json["members"] == []
    assert f"held apart from {left}: unlinked by" in " ".join(koppel("identity", right).out.split())
    inverse = done.json["inverse"]
    assert inverse == ["koppel", "link", left, right, "--as-before", str(done.json["entry"])]
    again = koppel(*inverse[1:])
    assert again.code == 0
    assert f"To take it back:\n  koppel unlink {left} {right} --as-before " in again.out
    assert {m["ref"] for m in koppel("--json", "identity", left).json["members"]} == {left, right}


def test_what_is_wrong_is_said_in_one_message_with_exit_code_2(koppel: Any) -> None:
    left, right = linked(koppel)
    for words, says in (
        (("link", left, right), "belong together already"),
        (("link", "nonsense", right), "is not a reference"),
        (("unlink", "register:companies:00000000"), "was never seen"),
        (("merge", left), "Name two records"),
        (("split", left, right), "That is all of it"),
        (("link", left, right, "--as-before", "999999"), "tells of no change"),
    ):
        said = koppel(*words)
        assert said.code == 2, said
        assert says in said.err
        assert said.err.count("koppel: ") == 1
        assert said.out == ""
    assert koppel("identity", "register:companies:00000000").code == 1


def test_the_trail_shows_who_sat_where(koppel: Any) -> None:
    left, right = linked(koppel)
    koppel("unlink", left, right)
    assert "unlinked by hand" in koppel("log").out
