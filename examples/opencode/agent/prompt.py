"""What the program is told of its task: the goal, what people noted, what happened before."""

HISTORY = 10  # entries
DETAILS = 1000  # characters of each


def of(task, context):
    lines = [f"You are improving yourself: your own source lies in {task['workspace']}. Make one small "
             "change to it, with a test, and leave all tests green.",
             f"Goal: {task.get('goal') or context.get('goalState') or 'choose one yourself'}"]
    lines += [f"Hint: {hint}" for hint in task.get("goal_hints", [])]
    lines += [f"Note: {note['text']}" for note in task.get("notes", [])]
    lines += [f"Earlier, {entry['result']}: {entry['action']}: {entry['details'][:DETAILS]}"
              for entry in context.get("history", [])[-HISTORY:]]
    lines += [f"Another generation, which you may look at or merge, is the branch {other['branch']}; "
              f"its fitness is {other['fitness']['mean']}." for other in task.get("inspirations", [])]
    return "\n".join(lines) + "\n"
