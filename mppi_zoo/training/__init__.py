"""Training: the loop of environment steps and updates, with replay, evaluation and checkpoints.

May import ``agent``, ``envs`` and the rooms below them. Start with ``trainer.py``.
"""
