"""A thread as a file for people: Markdown, or one page of HTML.

`blocks` says what there is to show, the other two how. Whatever a thread holds may have come from a
hostile page or repository, so nothing of it is taken for markup: in Markdown all of it is fenced,
in HTML all of it is escaped, and the page loads nothing and runs nothing.
"""
