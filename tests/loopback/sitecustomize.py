"""No test leaves this machine: whatever connects, binds or looks up a name outside loopback is refused, and the test fails.

`tests/conftest.py` imports this module and puts its folder on PYTHONPATH, so that Python runs it at the start of every
child process too (the killed workers, the command line). An audit hook sees every use of a socket, from any library.
"""

import sys

refused: list[str] = []  # what this process tried; a test that swallows the error is failed for it all the same

_NAMES = frozenset({"", "localhost", "::1", "::ffff:127.0.0.1"})
_LOOK_UPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_USES = frozenset({"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"})


class OutsideLoopbackError(RuntimeError):
    """A test reached for the network. No OSError, or the code under test would take it for a vendor that is down."""


def is_loopback(host: object) -> bool:
    """Whether a host, as a socket call names it, is this machine (`None`: no host was named)."""
    if isinstance(host, bytes | bytearray):
        host = host.decode("ascii", "replace")
    return host is None or (isinstance(host, str) and (host in _NAMES or host.startswith("127.")))


def _refuse_outside(event: str, args: tuple[object, ...]) -> None:
    if event in _LOOK_UPS:
        host = args[0]
    elif event in _USES and isinstance(args[1], tuple):  # a path (a local socket) is no tuple
        host = args[1][0]
        if event == "socket.bind" and host == "":
            host = "0.0.0.0"  # every interface, not none
    else:
        return
    if not is_loopback(host):
        refused.append(f"{event} {host!r}")
        raise OutsideLoopbackError(f"tests are limited to loopback: {event} {host!r}")


sys.addaudithook(_refuse_outside)
