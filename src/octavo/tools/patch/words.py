"""What a model is told about patches, and the grammar that keeps a freeform call to the form."""

from __future__ import annotations

BEGIN = "*** Begin Patch"
END = "*** End Patch"

SECTION_FORMS = (
    "A section starts with `*** Add File: PATH`, `*** Delete File: PATH` or "
    "`*** Update File: PATH`."
)

GRAMMAR = r"""
start: BEGIN section+ END
section: add | delete | update
add: ADD_FILE ADDED*
delete: DELETE_FILE
update: UPDATE_FILE (MOVE_TO | MOVE_TO? body)
body: place chunk* | chunk+
chunk: HEADER+ place
place: (ADDED | REMOVED | KEPT)+ AT_END?

BEGIN: "*** Begin Patch\n"
END: /\*\*\* End Patch\n?/
ADD_FILE: /\*\*\* Add File: [^\n]+\n/
DELETE_FILE: /\*\*\* Delete File: [^\n]+\n/
UPDATE_FILE: /\*\*\* Update File: [^\n]+\n/
MOVE_TO: /\*\*\* Move to: [^\n]+\n/
HEADER: /@@( [^\n]+)?\n/
ADDED: /\+[^\n]*\n/
REMOVED: /-[^\n]*\n/
KEPT: / [^\n]*\n/
AT_END: "*** End of File\n"
""".lstrip()

_FORM = """\
*** Begin Patch
*** Update File: src/shop.py
@@ def total(items):
     tax = 0
-    return sum(items)
+    return sum(items) + tax
*** Add File: docs/new.md
+# Every line of a new file starts with a plus
*** Delete File: old.txt
*** End Patch

In an update each line starts with ' ' (stays), '-' (goes) or '+' (comes); show about three lines \
around a change, copied from the file. `@@ LINE` names a whole line above the change (several \
`@@` lines narrow step by step); chunks go from top to bottom. Lines that fit in several places \
are refused unless an `@@` line picks one. A chunk of only '+' lines goes right under its `@@` \
line, or to the end of the file without one. `*** Move to: PATH` after the update line renames; \
`*** End of File` after a chunk ties it to the end. All files change or none does: after an error \
send the whole patch again. Paths are relative to the working directory."""

FREEFORM = f"""\
Edit files with a patch. The input is the patch itself: no JSON, no quotes around it.

{_FORM}"""

FUNCTION = f"""\
Edit files with a patch, given as one string in `input`:

{_FORM}"""

INPUT = "The whole patch, from `*** Begin Patch` to `*** End Patch`."
