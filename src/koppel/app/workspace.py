"""One customer's workspace, whole."""

from __future__ import annotations

from koppel.app.looking import Looking


class Workspace(Looking):
    """One customer's connections, flows and store. Open it with `Workspace.open`, make one with `Workspace.create`."""
