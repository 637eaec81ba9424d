"""Energy of a run, as codecarbon estimates it from processor time and rated power."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_JOULES_PER_KWH = 3.6e6


@dataclass(slots=True)
class Energy:
    """Known once the block has ended; None where codecarbon (extra `energy`) is not installed."""

    joules: float | None = None


@contextmanager
def measured_energy() -> Iterator[Energy]:
    """Estimate the energy of this process while the block runs. An estimate, not a measurement at the plug."""
    energy = Energy()
    try:
        from codecarbon import OfflineEmissionsTracker  # noqa: PLC0415 (an extra)
    except ImportError:
        yield energy
        return
    # The country matters for carbon only, which is not reported.
    tracker = OfflineEmissionsTracker(
        country_iso_code="DEU",
        tracking_mode="process",
        save_to_file=False,
        log_level="critical",
        allow_multiple_runs=True,
    )
    tracker.start()
    try:
        yield energy
    finally:
        tracker.stop()
    # It reports its own failures as log lines and goes on without figures.
    found = getattr(tracker, "final_emissions_data", None)
    energy.joules = _JOULES_PER_KWH * float(found.energy_consumed) if found else None
