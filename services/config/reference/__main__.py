"""``python -m services.config.reference > docs/settings.md``, and with ``--env`` ``> .env.example``."""

from __future__ import annotations

import sys

from services.config.reference.pages import example, settings

sys.stdout.write(example() if sys.argv[1:] == ["--env"] else settings())
