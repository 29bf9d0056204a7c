"""The words: everything that is said between octavo's parts, and nothing that does anything.

`events` is what happens in a thread and what its log holds; `fold` is what events mean; `items` is
what a face shows; `project` turns events into the notifications of the wire; `methods`,
`questions` and `notifications` are the app-server's vocabulary; `errors` is what octavo raises on
purpose. Nothing here does input or output, and nothing here imports another octavo package.
"""
