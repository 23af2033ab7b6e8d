"""The agent: networks, planner and objective joined, with its losses, updates and state.

May import the rooms ``core``, ``compute``, ``runs``, ``networks``, ``planning`` and ``objective``;
replay, environments and training are unknown here. Start with ``agent.py``.
"""
