"""What a model is told besides the conversation, and how a history becomes model items.

Every text here is written for a model to work from. `assemble` decides which texts are said, and
when they are said again; `permissions`, `environment`, `instructions` and `base` each say one
thing; `outputs` words what came of calls and turns; `user_message` and `images` carry what the
user gave. Nothing here runs a command or asks a model, and nothing said is ever edited later.
"""
