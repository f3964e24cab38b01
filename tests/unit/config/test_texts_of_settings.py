"""Settings that hold a text of their own: read from a file of the workspace, and told by file and line when wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from koppel.app import Workspace
from koppel.config.workspace_file import read_config, settings_of
from koppel.model.problem import SetupError

TEXT = """koppel = 1
title = "Voorbeeld"
base_url = "http://localhost/voorbeeld"

[resources.relations]
path = "/relaties"
[resources.relations.fields]
name = "naam"
"""


def workspace(folder: Path, description: str) -> Path:
    (folder / "koppel.toml").write_text(f"[workspace]\n[connections.shop]\nsystem = 'rest'\n{description}\n", "utf-8")
    return folder


def settings(folder: Path):
    return settings_of(read_config(folder).connections["shop"], {})


def test_a_path_is_seen_from_the_workspace_and_its_text_handed_in(tmp_path):
    (tmp_path / "apis").mkdir()
    (tmp_path / "apis" / "shop.toml").write_text(TEXT, "utf-8")
    assert settings(workspace(tmp_path, "description = 'apis/shop.toml'")).description == TEXT


def test_a_text_of_several_lines_is_itself(tmp_path):
    assert settings(workspace(tmp_path, f"description = '''\n{TEXT}'''")).description == TEXT


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SetupError, match=r"connections\.shop\.description: .*shop\.toml cannot be read: No such file"):
        settings(workspace(tmp_path, "description = 'shop.toml'"))


def test_a_mistake_in_the_file_is_told_with_file_and_line(tmp_path):
    (tmp_path / "shop.toml").write_text(TEXT.replace("path =", "paths ="), "utf-8")
    with pytest.raises(SetupError) as caught:
        settings(workspace(tmp_path, "description = 'shop.toml'"))
    assert str(caught.value) == (
        "shop.toml: line 6, resources.relations.paths: 'paths' is no key here. Did you mean 'path'?"
    )


def test_a_connection_offers_what_its_file_describes_and_the_file_keeps_the_path(tmp_path):
    folder = tmp_path / "books"
    with Workspace.create(folder) as made:
        (folder / "shop.toml").write_text(TEXT, "utf-8")
        connection = made.connect("shop", system="rest", settings={"description": "shop.toml"})
        assert connection.resource("relations").can.list
        assert connection.system.title == "Voorbeeld"
    assert 'description = "shop.toml"' in (folder / "koppel.toml").read_text("utf-8")


def test_a_wrong_description_is_refused_before_anything_is_stored(tmp_path):
    folder = tmp_path / "books"
    with Workspace.create(folder) as made:
        before = (folder / "koppel.toml").read_text("utf-8")
        (folder / "shop.toml").write_text(TEXT.replace("relations.fields", "relations.velden"), "utf-8")
        with pytest.raises(SetupError, match=r"shop\.toml: line 7"):
            made.connect("shop", system="rest", settings={"description": "shop.toml"})
        assert (folder / "koppel.toml").read_text("utf-8") == before
