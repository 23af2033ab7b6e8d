"""HumanoidBench's 14 locomotion tasks of the robot h1hand on current MuJoCo.

``hb:`` tasks (``suite.py``) are rebuilt in this package; ``hbx:`` tasks (``clone.py``) run the
original program from the user's clone. ``docs/humanoid_bench.md`` says where the two differ.
"""
