"""What a run leaves on disk: its folder, checkpoints, metrics, videos; and signals, which stop it.

Nothing here knows an agent. May import ``core`` and ``compute``. Start with ``folder.py``.
"""
