"""Planners: they choose actions by scoring sequences of actions in a model.

A planner sees three functions (``core.types.PlanningModel``) and never a network. May import
``core`` and ``compute``. Start with ``mppi.py``.
"""
