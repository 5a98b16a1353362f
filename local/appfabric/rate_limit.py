"""A limit on the rate of calls."""

import math


class RateLimit:
    """A token bucket. AWS publishes no limit for AppFabric, so there is none unless one is asked for."""

    def __init__(self, *, rate: float, burst: int) -> None:
        """Allow `burst` calls at once and `rate` a second in the long run."""
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at: float | None = None

    def take(self, *, now: float) -> int | None:
        """Take one token; without one, the whole seconds until there is one again."""
        if self._filled_at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return None
        return math.ceil((1 - self._tokens) / self._rate)
