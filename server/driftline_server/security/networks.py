"""What counts as one address where the means of one household are bounded."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address, ip_network


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """An IPv4 address as it is, the /64 of an IPv6 address, and what is no address as it is."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is not None:
        # A proxy that listens on both kinds may write it so.
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
