"""What one client, one tenant and the whole server may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds clients; whoever reaches a bound is told which."""

    clients: int = 10_000
    clients_per_tenant: int = 5_000
    subscriptions: int = 32
    """Of one client."""
    message_bytes: int = 65_536
    """Of one message from a client."""
    messages_per_s: float = 20.0
    """From a client, in the long run; a burst may be five times as many."""
    queue_events: int = 20_000
    """Waiting for one client."""
    queue_size: int = 4 << 20
    """Characters waiting for one client, as long as all together stay below `queues_size`."""
    queues_size: int = 512 << 20
    """Characters waiting for all clients, each sharing alike, but with at least `least_size`."""
    least_size: int = 128 << 10
    message_size: int = 256 << 10
    """Characters sent at once; one event may be larger."""
    heartbeat_s: float = 15.0
    idle_s: float = 60.0
    """A client without any subscription is closed after so long."""
    stall_s: float = 30.0
    """A client that takes nothing for so long is closed."""

    def size_of(self, clients: int) -> int:
        """Return the characters that may wait for each of so many clients."""
        return min(self.queue_size, max(self.queues_size // max(clients, 1), self.least_size))
