"""The command line ``python -m mppi_zoo.run``: its options, a run from start to end, resuming.

The topmost room: it may import all others, and no other imports it. Start with ``main.py``.
"""
