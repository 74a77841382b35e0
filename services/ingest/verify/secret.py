"""Whose a source's secret is: made by the vendor, and where it shows it, or chosen by us and told to the vendor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

GIVEN: Final[Mapping[str, str]] = {
    "chatwoot": "Settings > Integrations > Webhooks: the secret shown beside the webhook",
    "freescout": "Manage > API & Webhooks: the secret key",
    "front": "the app's signing key, or for rules Settings > Developers: the API secret",
    "hubspot": "the app's settings: Auth > Client secret",
    "intercom": "Developer Hub > your app > Basic information: Client secret",
    "zendesk": "Admin Center > Apps and integrations > Webhooks > your webhook: Reveal secret",
}
"""By vendor, where the secret is found that the vendor makes. All others take one of ours."""

PLACEHOLDER: Final = "placeholder-"
"""How a secret begins that was made up in place of a vendor's, until somebody pastes that."""
