"""What Prometheus reads of a server: requests, jobs, sound made, memory held."""

import resource
import sys
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """The counters of one server; each has a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        here = {'registry': self.registry, 'namespace': 'jen1composer'}
        self.requests = Counter(
            'http_requests', 'Requests answered', ['method', 'route', 'status'], **here
        )
        self.request_seconds = Histogram(
            'http_request_seconds', 'Time to answer', ['route'], buckets=SECONDS, **here
        )
        self.jobs = Counter('jobs', 'Jobs ended, by how', ['state'], **here)
        self.job_seconds = Histogram(
            'job_seconds', 'Time that finished jobs ran', buckets=SECONDS, **here
        )
        self.audio_seconds = Counter(
            'audio_seconds', 'Seconds of tracks composed, each track counted', **here
        )
        self._gauges = here
        self.watch('memory_peak_bytes', 'Most memory held since the start', peak_memory_bytes)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        Gauge(name, text, **self._gauges).set_function(value)


def peak_memory_bytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == 'darwin' else peak * 1024)
