"""What Prometheus reads of a server: requests, jobs, sound made, memory held."""

import resource
import sys
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """The counters of one server; each has a registry of its own."""

    def __init__(self) -> None:
        self.registry = here = CollectorRegistry()
        ProcessCollector(registry=here)
        self.requests = Counter(
            'jen1composer_http_requests',
            'Requests answered',
            ['method', 'route', 'status'],
            registry=here,
        )
        self.request_seconds = Histogram(
            'jen1composer_http_request_seconds',
            'Time to answer',
            ['route'],
            buckets=SECONDS,
            registry=here,
        )
        self.jobs = Counter('jen1composer_jobs', 'Jobs ended, by how', ['state'], registry=here)
        self.job_seconds = Histogram(
            'jen1composer_job_seconds',
            'Time that finished jobs ran',
            buckets=SECONDS,
            registry=here,
        )
        self.audio_seconds = Counter(
            'jen1composer_audio_seconds',
            'Seconds of tracks composed, each track counted',
            registry=here,
        )
        self.watch('memory_peak_bytes', 'Most memory held since the start', peak_memory_bytes)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        Gauge(f'jen1composer_{name}', text, registry=self.registry).set_function(value)


def peak_memory_bytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == 'darwin' else peak * 1024)
