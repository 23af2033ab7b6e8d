"""Parts of the fuzzer ``tests/system/fuzz.py``: what it makes, and what it feeds."""
