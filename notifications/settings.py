"""The `notifications:` section: who is told, how, when and when not. Secrets are mounted files."""

from __future__ import annotations

from datetime import datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from market.origin import checked_origin


class Section(BaseModel):
    """A part of the configuration: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PushoverSettings(Section):
    """Pushover: the phone. Application token and user (or group) key are mounted files."""

    token_file: Path = Field(description="Mounted file that holds the application's token.")
    user_file: Path = Field(description="Mounted file that holds the user's or group's key.")
    base_url: str = Field("https://api.pushover.net", description="Scheme, host and port.")
    retry_s: int = Field(216, ge=30, le=10800, description="An emergency sounds again so often, seconds.")
    expire_s: int = Field(10800, ge=30, le=10800, description="... and for so long, unless acknowledged.")
    deadline_s: float = Field(10.0, gt=0, le=60, description="Longest wait for a whole answer, seconds.")

    @field_validator("base_url")
    @classmethod
    def _an_origin(cls, value: str) -> str:
        return checked_origin(value)


class WebhookSettings(Section):
    """A signed JSON webhook, for example of n8n. The address may be a secret, so it is a file too."""

    url_file: Path = Field(description="Mounted file that holds the address to POST to.")
    secret_file: Path = Field(description="Mounted file that holds the key of the HMAC signature.")
    deadline_s: float = Field(10.0, gt=0, le=60, description="Longest wait for a whole answer, seconds.")


class AppriseSettings(Section):
    """Everything else (mail, Slack, Telegram, ...) through Apprise: the extra `notify`."""

    urls_file: Path = Field(description="Mounted file with one Apprise address a line.")
    deadline_s: float = Field(30.0, gt=0, le=120, description="Longest wait for one of them, seconds.")


class PingSettings(Section):
    """A dead-man switch outside: it alarms when the ping stays away."""

    url_file: Path = Field(description="Mounted file that holds the address to GET.")
    every_s: float = Field(300.0, ge=30, le=86400, description="Seconds between pings.")
    deadline_s: float = Field(10.0, gt=0, le=60, description="Longest wait for an answer, seconds.")


class QuietHours(Section):
    """A time of day without sound; MANDATORY_EXIT sounds all the same."""

    start: time = Field(description="Wall-clock time, 22:00.")
    end: time = Field(description="Wall-clock time, 07:00; before `start` it is the next day's.")
    zone: str = Field("UTC", description="IANA time zone, Europe/Berlin.")

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, zone: str) -> str:
        return _known_zone(zone)

    @model_validator(mode="after")
    def _not_empty(self) -> QuietHours:
        if self.start == self.end:
            raise ValueError("start and end are the same time; leave quiet_hours out to have none")
        return self

    def cover(self, instant: datetime) -> bool:
        """Say whether `instant` lies in the quiet time, start included."""
        local = instant.astimezone(ZoneInfo(self.zone)).time()
        if self.start < self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


class DigestSettings(Section):
    """One quiet message a day: all clear, or what is not."""

    on: bool = Field(True, description="Send it.")
    at: time = Field(time(7, 0), description="Wall-clock time.")
    zone: str = Field("UTC", description="IANA time zone, Europe/Berlin.")

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, zone: str) -> str:
        return _known_zone(zone)


class PacingSettings(Section):
    """Least time between two notices of one grid in one exit state, and when anomalies are told again."""

    warning_h: float = Field(4.0, ge=0.25, le=168, description="WARNING, hours; doubles with each repeat.")
    latest_h: float = Field(2.0, ge=0.25, le=168, description="LATEST_ACCEPTABLE_EXIT, hours.")
    mandatory_h: float = Field(1.0, ge=0.25, le=168, description="MANDATORY_EXIT, hours, until acknowledged.")
    anomaly_h: float = Field(4.0, ge=0.25, le=168, description="Anomalies, hours; doubles with each repeat.")
    longest_h: float = Field(48.0, ge=1, le=720, description="No doubling goes beyond, hours.")


class NotificationSettings(Section):
    """Who is told, and when silence is worth a word. The log is always told."""

    stale_after_s: float = Field(
        5700,  # an incomplete hour is judged half an hour after its close: 90 min after the one before
        ge=600,
        description="Age of the newest judged hour's close that alerts, s.",
    )
    pushover: PushoverSettings | None = None
    webhooks: dict[str, WebhookSettings] = Field(default_factory=dict)
    apprise: AppriseSettings | None = None
    ping: PingSettings | None = None
    quiet_hours: QuietHours | None = None
    digest: DigestSettings = DigestSettings()
    pacing: PacingSettings = PacingSettings()
    link: str | None = Field(
        None, description="Where the operator's browser reaches this program, for links in messages."
    )

    @field_validator("link")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        return None if value is None else checked_origin(value)


def _known_zone(zone: str) -> str:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone {zone!r}; expected an IANA name such as Europe/Berlin") from None
    return zone
