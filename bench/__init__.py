"""How quick, how small and how thrifty the function is, beside others that do the same; no part of the tests.

`make bench` measures one Create, cold and warm (`python -m bench`), `make bench-scale` simulates up to 250 of them at
once under a rate limit (`python -m bench.scale`).
"""
