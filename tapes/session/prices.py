"""What tokens cost by the providers' public price lists, as the package genai-prices has them (the extra `cost`).

A list price of the day the call was made, in US dollars, for tokens alone: what a provider's own web searches cost,
discounts, batches and subscriptions are not in it. Whose model or whose provider the lists do not have is unpriced
(None), which is never nought. The lists come with the package; nothing is fetched.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tapes.session.usage import Tokens

INSTALL = "pip install 'agent-tapes[cost]'"


@cache
def version() -> str:
    """Of the price lists; empty where they are not installed. Prices may only be kept together with it."""
    spec = find_spec("genai_prices")
    if spec is None or not spec.origin:
        return ""
    beside = [path.name for path in Path(spec.origin).parent.parent.glob("genai_prices-*.dist-info")]
    if len(beside) == 1:
        return beside[0].removeprefix("genai_prices-").removesuffix(".dist-info")
    import importlib.metadata  # twice the time that Python takes to start; only for what is installed in another way

    try:
        return importlib.metadata.version("genai-prices")
    except importlib.metadata.PackageNotFoundError:
        return ""


def price(tokens: Tokens, model: str, url: str, wall_ns: int) -> Decimal | None:
    """US dollars for one call to this URL at this time; None where it is unpriced, or `version` is empty."""
    if not version() or not model:
        return None
    from genai_prices import Usage, calc_price  # half a second, which counts at hand need not wait for

    used = Usage(
        input_tokens=tokens.given,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write_5m + tokens.cache_write_1h,
        cache_write_5m_tokens=tokens.cache_write_5m,
        cache_write_1h_tokens=tokens.cache_write_1h,
        output_tokens=tokens.output,
        output_reasoning_tokens=tokens.reasoning,
    )
    at = datetime.fromtimestamp(wall_ns / 1e9, UTC)
    try:
        found = calc_price(used, model, provider_api_url=_http(url), genai_request_timestamp=at)
    except (LookupError, ValueError):  # a model or a provider that is not in the lists; counts that can not be
        return None
    priced = found.model_price
    if priced.input_mtok is None and priced.output_mtok is None:  # in the lists without a price
        return None
    return Decimal(found.total_price)


def _http(url: str) -> str:
    scheme, colon, rest = url.partition("://")
    return f"{'http' if scheme in ('http', 'ws') else 'https'}{colon}{rest}"
