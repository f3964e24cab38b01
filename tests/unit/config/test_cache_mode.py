from __future__ import annotations

import pytest

from koppel.config.workspace_file import read_config, write_connection
from koppel.model.problem import SetupError

FILE = '[workspace]\nname = "w"\n\n[connections.books]\nsystem = "exact"\ncache = "mapped"\ndivision = 1\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "koppel.toml").write_text(FILE, "utf-8")
    return tmp_path


def test_the_cache_mode_is_no_setting_of_the_system(folder):
    books = read_config(folder).connections["books"]
    assert (books.cache, books.settings) == ("mapped", {"division": 1})


def test_a_connection_that_is_changed_keeps_its_cache_mode(folder):
    write_connection(folder, "books", "exact", {"division": 2})
    write_connection(folder, "other", "exact", {"division": 3})
    connections = read_config(folder).connections
    assert (connections["books"].cache, connections["books"].settings) == ("mapped", {"division": 2})
    assert connections["other"].cache == "full"


@pytest.mark.parametrize("mode", ["full", "mapped", "hashes"])
def test_a_mode_that_there_is_is_read(folder, mode):
    (folder / "koppel.toml").write_text(FILE.replace("mapped", mode), "utf-8")
    assert read_config(folder).connections["books"].cache == mode


def test_a_mode_that_there_is_not_is_refused(folder):
    (folder / "koppel.toml").write_text(FILE.replace("mapped", "some"), "utf-8")
    with pytest.raises(SetupError, match="is no cache mode"):
        read_config(folder)
