"""Single-file references: the second witness against which the package is tested."""
