"""What every other room shares: the records that cross module borders, mathematics, random draws.

Imports no other room. Start with ``types.py``: the axis glossary and one shape for every field.
"""
