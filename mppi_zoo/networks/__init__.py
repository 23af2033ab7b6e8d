"""The networks of an agent: encoder, world model, critics, policy heads, and their layers.

May import ``core`` and ``compute``; training, configuration and run folders are unknown here. Start
with ``world_model.py``.
"""
