"""The proving ground that ships: a scripted model over real HTTP, the demo, the attack suite.

Nothing here is on the way of a real run, and nothing below this layer imports it.
"""
