"""What one visitor of a hosted playground may use, so that one person cannot starve a class."""

from dataclasses import dataclass

MEGABYTE = 10**6


@dataclass(frozen=True)
class Limits:
    """Per visitor, unless it says otherwise; ``None`` is no limit, as it is for somebody alone on a machine."""

    upload_mb: int = 2_000
    datasets: int | None = None
    runs: int | None = None
    sessions: int | None = None
    queued: int | None = None
    train_minutes: float | None = None
    """Of one run, over all its resumes."""
    text_mb: int | None = None
    streams: int = 1024
    """Texts that are written at once."""
    parameters: int | None = None
    """Of a model that is trained here."""
    days_kept: float | None = None
    """Datasets, runs and sessions that nobody touched for so long are removed."""
    trash_hours: float = 24.0
    """How long a deletion can be undone."""

    @classmethod
    def hosted(cls) -> "Limits":
        """Thirty students on one small server, or strangers on a public Space."""
        return cls(
            upload_mb=20,
            datasets=10,
            runs=10,
            sessions=20,
            queued=2,
            train_minutes=30.0,
            text_mb=20,
            streams=16,
            parameters=30_000_000,
            days_kept=30.0,
        )
