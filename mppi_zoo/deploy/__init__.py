"""Trained agents outside of training: a controller, and programs that plain torch runs.

May import ``config`` and the rooms below it. Start with ``controller.py``.
"""
