"""The policy's objective: a weighted sum of value, divergence from a prior, and entropy.

Divergences, priors, KL weights and scales are parts that a gin file combines. May import ``core``,
``compute`` and ``networks``. Start with ``kl_objective.py``.
"""
