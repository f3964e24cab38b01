"""Pages."""
def plan_page(plan, *, title):
    return ""
def runs_page(results, *, workspace):
    return ""
