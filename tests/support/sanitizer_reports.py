"""Finds what a sanitizer said in the logs of services that a test has ended.

`germline up` starts a service again that ended: without a look here, a report would go unseen.
"""
import pathlib
import re

REPORT = re.compile(r"ERROR: (Address|Leak)Sanitizer|runtime error: |WARNING: ThreadSanitizer"
                    r"|FATAL: ThreadSanitizer|Sanitizer: CHECK failed|Sanitizer:DEADLYSIGNAL")
MOST_CHARACTERS = 12_000


def sanitizer_reports(folder):
    """The first report of each log beneath the folder, with the log's name; "" without any."""
    found = ""
    for log in sorted(pathlib.Path(folder).rglob("*.log")):
        text = log.read_text(errors="replace")
        report = REPORT.search(text)
        if report:
            begin = text.rfind("\n", 0, report.start()) + 1
            found += f"--- {log}\n{text[begin:begin + MOST_CHARACTERS]}\n"
    return found
