"""Text of others made safe to show; the core has it, as what it writes for people is shown in terminals too."""

from __future__ import annotations

from tapes.wire.harmless import harmless as harmless
