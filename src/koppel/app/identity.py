"""Identity by hand: link, unlink, merge, split, and what is known of one thing. Done under the leases of the flows concerned, so
that no run of theirs decides on what is being changed."""

from __future__ import annotations

from collections.abc import Callable

from koppel.app.workspace import Workspace
from koppel.engine import identity, leasing, membership
from koppel.engine.identity import By, Changed, Deed
from koppel.engine.membership import Identity
from koppel.engine.ports import Ports
from koppel.mapping.flow import Flow
from koppel.model.problem import UsageError
from koppel.model.values import Ref
from koppel.store.sql import Db

LEASE_SECONDS = 60.0
PATIENCE = 20.0  # a flow that runs longer than this is not waited for


def show(workspace: Workspace, ref: str) -> Identity:
    """The thing a record is of. Raises UsageError for what is no reference."""
    return workspace.store.run(membership.identity, _flows(workspace), read_ref(ref))


def link(
    workspace: Workspace, one: str, two: str, *, as_follower: bool = False, as_before: int | None = None
) -> Changed:
    """Make two records one thing, or put a link back as it was. Raises UsageError, RetryLater while a flow runs."""
    first, second = read_ref(one), read_ref(two)
    if as_before is not None:
        return _back(workspace, "link", as_before, first, second)
    return _done(workspace, lambda db, flows, by: identity.link(db, flows, by, first, second, as_follower=as_follower))


def unlink(workspace: Workspace, one: str, two: str | None = None, *, as_before: int | None = None) -> Changed:
    """Take a record out of the thing it belongs to. Raises UsageError, RetryLater."""
    first, second = read_ref(one), read_ref(two) if two else None
    if as_before is not None:
        return _back(workspace, "unlink", as_before, *[ref for ref in (first, second) if ref])
    return _done(workspace, lambda db, flows, by: identity.unlink(db, flows, by, first, second))


def merge(
    workspace: Workspace, one: str, *others: str, as_follower: bool = False, as_before: int | None = None
) -> Changed:
    """Make the things two records belong to one. Raises UsageError, RetryLater."""
    refs = [read_ref(ref) for ref in (one, *others)]
    if as_before is not None:
        return _back(workspace, "merge", as_before, *refs)
    if len(refs) != 2:
        raise UsageError("Name two records, one of each thing.", remedy="koppel merge REF REF")
    first, second = refs
    return _done(workspace, lambda db, flows, by: identity.merge(db, flows, by, first, second, as_follower=as_follower))


def split(workspace: Workspace, *refs: str, as_before: int | None = None) -> Changed:
    """Take records out into a thing of their own. Raises UsageError, RetryLater."""
    named = [read_ref(ref) for ref in refs]
    if as_before is not None:
        return _back(workspace, "split", as_before, *named)
    return _done(workspace, lambda db, flows, by: identity.split(db, flows, by, *named))


def read_ref(text: str) -> Ref:
    """A reference as typed. Raises UsageError."""
    try:
        return Ref.parse(text)
    except ValueError as error:
        raise UsageError(f"{error}.", remedy="For instance: books-nl:accounts:71b9…") from None


def _flows(workspace: Workspace) -> list[Flow]:
    return [loaded.flow for _, loaded in sorted(workspace.flows.items()) if loaded.flow is not None]


def _back(workspace: Workspace, did: Deed, entry: int, *refs: Ref) -> Changed:
    return _done(workspace, lambda db, flows, by: identity.as_before(db, flows, by, did, entry, refs))


def _done(workspace: Workspace, deed: Callable[[Db, list[Flow], By], Changed]) -> Changed:
    flows = _flows(workspace)
    leases = [f"flow {flow.id}" for flow in flows]

    def job(db: Db, at: float) -> Changed:
        return deed(db, flows, By(workspace.actor, at))

    async def alone(ports: Ports) -> Changed:
        return await leasing.alone(ports, leases, job, seconds=LEASE_SECONDS, patience=PATIENCE)

    return workspace.with_ports(alone, only=())
