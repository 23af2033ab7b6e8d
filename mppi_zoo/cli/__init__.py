"""The command line ``python -m mppi_zoo.run``: its options, a run from start to end, resuming.

May import every room but ``study``. Start with ``main.py``.
"""
