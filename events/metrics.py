"""The one metrics interface: counters, gauges and histograms of a process, as its status beats them."""

from collections import deque

SAMPLES = 4096  # a histogram's memory: its quantiles are those of the newest this many values


class Counter:
    """A number that only grows."""

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1.0) -> None:
        """Add a non-negative amount."""
        if amount < 0:
            raise ValueError(f"counter amount = {amount}; a counter only grows")
        self.value += amount


class Gauge:
    """A number as it is now."""

    def __init__(self) -> None:
        self.value = 0.0

    def set(self, value: float) -> None:
        """Replace the number."""
        self.value = value


class Histogram:
    """Quantiles of the newest values, the maximum and the count of all."""

    def __init__(self) -> None:
        self.count = 0
        self.maximum = 0.0
        self._values: deque[float] = deque(maxlen=SAMPLES)

    def observe(self, value: float) -> None:
        """Add one value."""
        self.count += 1
        self.maximum = value if self.count == 1 else max(self.maximum, value)
        self._values.append(value)

    def summary(self) -> dict[str, float]:
        """Return p50, p95, p99 (nearest rank), max and n; only n = 0 where nothing was observed."""
        if not self.count:
            return {"n": 0}
        ordered = sorted(self._values)
        ranks = {name: ordered[-(-len(ordered) * share // 100) - 1] for name, share in _QUANTILES}
        return {**ranks, "max": self.maximum, "n": self.count}


_QUANTILES = (("p50", 50), ("p95", 95), ("p99", 99))


class Metrics:
    """Names to counters, gauges and histograms; asking for a name makes it. Not safe for several threads."""

    def __init__(self, process: str) -> None:
        self.process = process
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}

    def counter(self, name: str) -> Counter:
        return self._counters.setdefault(name, Counter())

    def gauge(self, name: str) -> Gauge:
        return self._gauges.setdefault(name, Gauge())

    def histogram(self, name: str) -> Histogram:
        return self._histograms.setdefault(name, Histogram())

    def snapshot(self) -> dict[str, float]:
        """Return every number by name; a histogram's as ``NAME.p50``, ``.p95``, ``.p99``, ``.max`` and ``.n``."""
        numbers = {name: item.value for name, item in (self._counters | self._gauges).items()}
        for name, histogram in self._histograms.items():
            numbers |= {f"{name}.{part}": value for part, value in histogram.summary().items()}
        return numbers
