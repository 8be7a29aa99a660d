from __future__ import annotations

from infraspectre.cortex.links import Fans

FAN = ("resp", "10.0.0.53", "beacon")


def test_a_fan_is_broad_beyond_its_bound() -> None:
    fans = Fans(widest=2, most=10, memory_ns=100)
    for other in ("a", "b", "b"):
        fans.add(FAN, other, at=0)
    assert not fans.is_broad(FAN)
    fans.add(FAN, "c", at=0)
    assert fans.is_broad(FAN)


def test_old_links_are_forgotten() -> None:
    fans = Fans(widest=1, most=10, memory_ns=100)
    fans.add(FAN, "a", at=0)
    fans.add(FAN, "b", at=101)
    assert not fans.is_broad(FAN)


def test_the_fan_unused_for_longest_is_dropped() -> None:
    fans = Fans(widest=0, most=1, memory_ns=100)
    fans.add(FAN, "a", at=0)
    fans.add(("orig", "b", "scan"), "c", at=0)
    assert not fans.is_broad(FAN)
