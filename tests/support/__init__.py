"""What several test modules share: servers, a proxy that makes faults, models, ready-made data.

pytest finds it through ``pythonpath`` in pyproject.toml, the benchmarks through their ``__init__``.
"""
