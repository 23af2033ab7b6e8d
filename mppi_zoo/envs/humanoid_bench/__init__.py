"""HumanoidBench's 14 locomotion tasks of the robot h1hand, on current MuJoCo, from packages alone.

``hb:`` tasks (``suite``) are this package's own; ``hbx:`` tasks (``clone``) run the original
program from a clone that the user has. ``docs/humanoid_bench.md`` says where the two differ.
"""
