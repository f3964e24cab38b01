"""Pages."""
from typing import NamedTuple, Any
class RunTold(NamedTuple):
    result: Any
    entries: Any
    flow: Any
def plan_page(plan, *, flow):
    return ""
def runs_page(results, *, workspace):
    return ""
