"""Known vendor key formats: data only.

Every format has a literal beginning and a fixed alphabet and length, so that signatures, hashes and encrypted
reasoning survive; nothing here guesses by entropy. Formats come from the vendors' own descriptions and from the
public secret scanners' rule sets; where a vendor documents only a prefix, the length is the shortest seen. A new
format is one line: name, the possible first three bytes, the expression.
"""

from __future__ import annotations

import re
from functools import cache

from tapes.values import dataclass

END = rb"(?![A-Za-z0-9_-])"

# Captured text is JSON-escaped once or more, URL-quoted and coloured, so the byte before a key is often a letter:
# the n of \n, the m of \u001b[32m, the D of %3D. Those end an escape and do not make the key part of a longer word.
START = (
    rb"(?:(?<![A-Za-z0-9_-])|(?<=\\[abefnrtv0])|(?<=\\u[0-9a-fA-F]{4})|(?<=\\x[0-9a-fA-F]{2})|(?<=\\[0-3][0-7]{2})"
    rb"|(?<=%[0-9a-fA-F]{2})|(?<=\[[mK])|(?<=[\[;][0-9][mK])|(?<=[\[;][0-9]{2}m)|(?<=[\[;][0-9]{3}m)|(?<=\(B))"
)

SHORTEST_RUN = 20
"""Every format of `VENDORS` and `DOTTED` holds a run of at least so many token characters where it is looked up."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One format."""

    name: str
    expression: bytes

    @property
    def pattern(self) -> re.Pattern[bytes]:
        """To be matched at the place where the format's literal beginning stands. Compiled when that is met first: all
        of them at once were a tenth of the start of a capture process."""
        return _compiled(self.expression)


_compiled = cache(re.compile)


# The first three bytes may be a run's first, or follow an escape at its start.
VENDORS: tuple[tuple[str, str, bytes], ...] = (
    ("anthropic-api-key", "sk-", rb"sk-ant-api\d\d-[\w-]{32,}"),
    ("anthropic-admin-key", "sk-", rb"sk-ant-admin\d\d-[\w-]{32,}"),
    ("anthropic-oauth-token", "sk-", rb"sk-ant-o[ar]t\d\d-[\w-]{32,}"),
    ("anthropic-session", "sk-", rb"sk-ant-sid\d\d-[\w-]{32,}"),
    ("openrouter-key", "sk-", rb"sk-or-v1-[0-9a-f]{64}" + END),
    ("langfuse-key", "sk-", rb"sk-lf-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}" + END),
    ("openai-api-key", "sk-", rb"sk-(?:proj|svcacct|admin)-(?=[\w-]*\d)[\w-]{32,}"),
    ("openai-api-key", "sk-", rb"sk-[A-Za-z0-9]{48}" + END),
    ("openai-ephemeral-key", "ek_", rb"ek_[0-9a-f]{32}" + END),
    ("openai-session", "ses", rb"sess-[A-Za-z0-9]{40}" + END),
    ("sk-api-key", "sk-", rb"sk-[0-9a-f]{32}" + END),  # DeepSeek, DashScope
    ("google-api-key", "AIz", rb"AIza[\w-]{35}" + END),
    ("google-oauth-secret", "GOC", rb"GOCSPX-[\w-]{28}" + END),
    ("aws-access-key-id", "AKI ASI ABI ACC", rb"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}" + END),
    ("github-token", "ghp gho ghu ghs ghr", rb"gh[pousr]_[A-Za-z0-9]{36,255}" + END),
    ("github-token", "ghs", rb"ghs_\d+_eyJ[\w.-]{40,}"),
    ("github-token", "git", rb"github_pat_[A-Za-z0-9_]{60,}" + END),
    (
        "gitlab-token",
        "glp gld glr glc glf gla gls gli glo glw",
        rb"gl(?:pat|dt|rt|cbt|ptt|ft|agent|soat|imt|oas|ffct|wt)-[\w-]{20,}(?:\.[0-9a-z]{2}\.[0-9a-z]{7,})?",
    ),
    ("slack-token", "xox", rb"xox[abeoprs]-\d[A-Za-z0-9-]{20,}"),
    ("slack-app-token", "xap", rb"xapp-\d-[A-Z0-9]+-\d+-[0-9a-f]{32,}" + END),
    ("stripe-key", "sk_ rk_", rb"[sr]k_(?:live|test|prod)_[A-Za-z0-9]{24,}" + END),
    ("elevenlabs-key", "sk_", rb"sk_[0-9a-f]{48}" + END),
    (
        "twilio-api-key",
        "SK0 SK1 SK2 SK3 SK4 SK5 SK6 SK7 SK8 SK9 SKa SKb SKc SKd SKe SKf",
        rb"SK[0-9a-f]{32}" + END,
    ),
    ("npm-token", "npm", rb"npm_[A-Za-z0-9]{36}" + END),
    ("pypi-token", "pyp", rb"pypi-AgE[\w-]{50,}"),
    ("huggingface-token", "hf_", rb"hf_[A-Za-z0-9]{34,40}" + END),
    ("huggingface-token", "api", rb"api_org_[A-Za-z0-9]{34}" + END),
    ("groq-key", "gsk", rb"gsk_[A-Za-z0-9]{40,}" + END),
    ("xai-key", "xai", rb"xai-[A-Za-z0-9]{70,}" + END),
    ("perplexity-key", "ppl", rb"pplx-[A-Za-z0-9]{40,}" + END),
    ("replicate-token", "r8_", rb"r8_[A-Za-z0-9]{37}" + END),
    ("fireworks-key", "fw_", rb"fw_(?=[A-Za-z]*\d)[A-Za-z0-9]{22,32}" + END),
    ("together-key", "tgp", rb"tgp_v1_[\w-]{43}" + END),
    ("cerebras-key", "csk", rb"csk-[a-z0-9]{48}" + END),
    ("nvidia-key", "nva", rb"nvapi-[\w-]{60,70}" + END),
    ("langsmith-key", "lsv", rb"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}" + END),
    ("tavily-key", "tvl", rb"tvly-(?:dev-|prod-)?(?=[A-Za-z-]*\d)[A-Za-z0-9]{32}" + END),
    ("cloudflare-token", "cfk cfu cfa", rb"cf(?:k|ut|at)_[A-Za-z0-9]{40,}" + END),
    ("digitalocean-token", "dop doo dor", rb"do[opr]_v1_[0-9a-f]{64}" + END),
    ("linear-key", "lin", rb"lin_(?:api|oauth)_[A-Za-z0-9]{40,64}" + END),
    ("notion-token", "ntn", rb"ntn_[A-Za-z0-9]{40,}" + END),
    ("notion-token", "sec", rb"secret_[A-Za-z0-9]{43}" + END),
    ("databricks-token", "dap", rb"dapi[0-9a-f]{32}(?:-\d)?" + END),
    ("shopify-token", "shp", rb"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}" + END),
    ("tailscale-key", "tsk", rb"tskey-[a-z]+-[\w-]{20,}"),
    ("1password-token", "ops", rb"ops_eyJ[A-Za-z0-9+/]{200,}={0,3}"),
    ("age-key", "AGE", rb"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}" + END),
    ("supabase-key", "sbp", rb"sbp_(?:v0_)?[0-9a-f]{40}" + END),
    ("supabase-key", "sb_", rb"sb_secret_[\w-]{22}_[\w-]{8}" + END),
    ("planetscale-key", "psc", rb"pscale_(?:tkn|pw|oauth)_[\w-]{32,}"),
    ("postman-key", "PMA", rb"PMAK-[0-9a-f]{24}-[0-9a-f]{34}" + END),
    ("newrelic-key", "NRA", rb"NRAK-[A-Z0-9]{27}" + END),
    ("sentry-token", "snt", rb"sntry[su]_[\w+/=-]{39,}[\w-]"),
    ("grafana-token", "gls", rb"glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}" + END),
    ("figma-token", "fig", rb"figd_[\w-]{40,}"),
    ("docker-token", "dck", rb"dckr_[op]at_[\w-]{27,}"),
    ("atlassian-token", "ATA", rb"ATATT3[\w=-]{150,}"),
    ("rubygems-key", "rub", rb"rubygems_[0-9a-f]{48}" + END),
    ("pulumi-token", "pul", rb"pul-[0-9a-f]{40}" + END),
    ("llamacloud-key", "llx", rb"llx-[A-Za-z0-9]{48}" + END),
    ("pinecone-key", "pcs", rb"pcsk_[A-Za-z0-9]{4,8}_[A-Za-z0-9]{50,}" + END),
    ("jwt", "eyJ", rb"eyJ[\w-]{10,}+\.eyJ[\w-]{10,}+\.[\w-]{10,}"),
)

# The run of token characters stands behind these beginnings, which end in a byte no run can hold.
DOTTED: tuple[tuple[str, str, bytes], ...] = (
    ("sendgrid-key", "SG.", rb"SG\.[\w-]{22}\.[\w-]{43}" + END),
    ("google-oauth-token", "ya29.", rb"ya29\.[\w.-]{29,}[\w-]"),
    ("google-api-key", "AQ.", rb"AQ\.A[\w-]{40,}"),
    ("google-refresh-token", "1//", rb"1//0[\w-]{40,}"),
    ("vault-token", "hvs. hvb. hvr.", rb"hv[sbr]\.[\w-]{24,}"),
    (
        "doppler-token",
        "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.",
        rb"dp\.[a-z]+\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}" + END,
    ),
    ("cloudflare-origin-key", "v1.", rb"v1\.0-[0-9a-f]{24}-[0-9a-f]{146}" + END),
)


def _rule(name: str, expression: bytes) -> Rule:
    return Rule(name, START + expression)


def by_first_three() -> dict[bytes, tuple[Rule, ...]]:
    """`VENDORS` as rules, under the three bytes each may begin with."""
    table: dict[bytes, tuple[Rule, ...]] = {}
    for name, heads, expression in VENDORS:
        rule = _rule(name, expression)
        for head in heads.split():
            table[head.encode()] = (*table.get(head.encode(), ()), rule)
    return table


def by_three_before() -> dict[bytes, tuple[tuple[int, Rule], ...]]:
    """`DOTTED` as rules, under the three bytes before the run, with the length of the whole beginning."""
    table: dict[bytes, tuple[tuple[int, Rule], ...]] = {}
    for name, heads, expression in DOTTED:
        rule = _rule(name, expression)
        for head in heads.split():
            key = head.encode()[-3:]
            table[key] = (*table.get(key, ()), (len(head), rule))
    return table


def beginnings() -> tuple[bytes, ...]:
    """All literal beginnings, as far as the tables know them: for judging what a cut text may yet become."""
    return tuple(sorted({head.encode() for _, heads, _ in (*VENDORS, *DOTTED) for head in heads.split()}))
