"""The guard of the test run: nothing but this machine can be reached, and swallowing the refusal does not help."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
import sitecustomize as loopback


@pytest.fixture
def refused() -> Iterator[list[str]]:
    """The list the guard keeps, emptied again of what this test provokes on purpose."""
    before = len(loopback.refused)
    yield loopback.refused
    del loopback.refused[before:]


def test_connecting_elsewhere_is_refused_and_remembered(refused: list[str]) -> None:
    with socket.socket() as outside, pytest.raises(loopback.OutsideLoopbackError):
        outside.connect(("192.0.2.1", 443))  # an address set aside for documents
    assert refused[-1] == "socket.connect '192.0.2.1'"


def test_looking_up_a_name_elsewhere_is_refused(refused: list[str]) -> None:
    with pytest.raises(loopback.OutsideLoopbackError):
        socket.getaddrinfo("vendor.example", 443)
    assert refused[-1] == "socket.getaddrinfo 'vendor.example'"


def test_listening_on_every_interface_is_refused(refused: list[str]) -> None:
    with socket.socket() as server, pytest.raises(loopback.OutsideLoopbackError):
        server.bind(("", 0))
    assert refused


def test_a_refusal_is_no_os_error_that_reads_as_a_vendor_being_down(refused: list[str]) -> None:
    with pytest.raises(loopback.OutsideLoopbackError), contextlib.suppress(OSError):
        socket.gethostbyname("vendor.example")
    assert refused


def test_loopback_stays_open() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with socket.create_connection(("localhost", server.getsockname()[1]), timeout=5):
            pass


def test_child_processes_are_held_to_it_too() -> None:
    attempt = "import socket; socket.getaddrinfo('vendor.example', 443)"
    done = subprocess.run([sys.executable, "-c", attempt], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "OutsideLoopbackError" in done.stderr
