"""How a computation is executed: kernels, matmul precision, CUDA graphs, transfers, memory.

Nothing here knows what is computed. May import ``core``. Start with ``linear.py``.
"""
