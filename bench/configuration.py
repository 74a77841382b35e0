"""The configuration that everything is measured with: three timers a ticket, five segments, five windows."""

from __future__ import annotations

import base64
from typing import Final

from services.config.document import Document, parse

SECRET: Final = "a-secret-of-the-bench"
GENERIC_KEY: Final = b"a-key-of-the-bench-of-32-bytes--"
SECRETS: Final = {"ZENDESK_SECRET": SECRET, "GENERIC_SECRET": f"whsec_{base64.b64encode(GENERIC_KEY).decode()}"}

CONFIG: Final = """
sources:
  zendesk: {vendor: zendesk, secrets: ["${ZENDESK_SECRET}"]}
  generic: {vendor: generic, secrets: ["${GENERIC_SECRET}"]}
calendars:
  support:
    timezone: Europe/Paris
    weekly: {mon: [["09:00", "12:30"], ["13:30", "18:00"]], tue: [["09:00", "18:00"]], wed: [["09:00", "18:00"]],
             thu: [["09:00", "18:00"]], fri: [["09:00", "17:00"]]}
    annual_holidays: ["01-01", "12-25"]
sla_policies:
  - {name: vip, match: {tier: [vip]}, warn_at: ["50%", "75%", "90%", "15m"],
     targets: {first_response: {urgent: 15m, high: 1h, normal: 4h, low: 8h}, next_response: {"*": 4h},
               resolution: {urgent: 8h, "*": 3d}}}
  - {name: standard, calendar: support, warn_at: ["75%", "90%"],
     targets: {first_response: {urgent: 30m, high: 1h, normal: 4h, low: 8h}, next_response: {"*": 4h},
               resolution: {urgent: 8h, "*": 24h}}}
segments: [[channel], [team], [priority], [agent], [team, priority]]
windows: [15m, 1h, 24h, 7d, 28d]
"""

DOCUMENT: Final[Document] = parse(CONFIG, SECRETS)
