"""From gin files to an experiment: parsing, finding files, and checks before a run begins.

May import ``training`` and the rooms below it. Start with ``gin_config.py``.
"""
