"""Koppel's main job as a story in five acts, against made-up companies on this machine: `koppel demo`."""

from koppel.demo.report import Act, DemoReport
from koppel.demo.story import run_demo

__all__ = ["Act", "DemoReport", "run_demo"]
