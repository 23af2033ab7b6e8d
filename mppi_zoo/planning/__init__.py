"""Planners: they choose actions by scoring sequences of actions in a model.

A planner sees a few functions (``planning.base.PlanningModel``) and never a network. May import
``core`` and ``compute``. Start with ``mppi.py``.
"""
