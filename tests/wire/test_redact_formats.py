"""Every vendor format is found wherever text carries it, and the bytes around it stay what they were."""

from __future__ import annotations

import json
import random
import string

import pytest

from tapes.wire.redact import Redactor
from tapes.wire.redact.rules import DOTTED, VENDORS

_RANDOM = random.Random(7)
_ALNUM = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"


def _some(count: int, alphabet: str = _ALNUM) -> str:
    return "".join(_RANDOM.choices(alphabet, k=count - 1)) + "7" * (count > 0)


def _url64(count: int) -> str:
    return _some(count, _ALNUM + "-_")


KEYS: dict[str, list[str]] = {
    "anthropic-api-key": [f"sk-ant-api03-{_url64(93)}AA"],
    "anthropic-admin-key": [f"sk-ant-admin01-{_url64(93)}AA"],
    "anthropic-oauth-token": [f"sk-ant-oat01-{_url64(93)}AA", f"sk-ant-ort01-{_url64(93)}AA"],
    "anthropic-session": [f"sk-ant-sid01-{_url64(86)}-AA"],
    "openrouter-key": [f"sk-or-v1-{_some(64, _HEX)}"],
    "langfuse-key": ["sk-lf-0f8fad5b-d9cb-469f-a165-70867728950e"],
    "openai-api-key": [
        f"sk-proj-{_url64(74)}T3BlbkFJ{_url64(74)}",
        f"sk-svcacct-{_url64(74)}T3BlbkFJ{_url64(74)}",
        f"sk-admin-{_url64(58)}T3BlbkFJ{_url64(58)}",
        f"sk-{_some(20)}T3BlbkFJ{_some(20)}",
    ],
    "openai-ephemeral-key": [f"ek_{'68af296e' * 4}"],
    "openai-session": [f"sess-{_some(40)}"],
    "sk-api-key": [f"sk-{_some(32, _HEX)}"],
    "google-api-key": [f"AIza{_url64(35)}", f"AQ.Ab8R{_url64(46)}"],
    "google-oauth-secret": [f"GOCSPX-{_url64(28)}"],
    "google-oauth-token": [f"ya29.a0{_url64(150)}"],
    "google-refresh-token": [f"1//0g{_url64(80)}"],
    "aws-access-key-id": [f"{head}{_some(16, string.ascii_uppercase + '234567')}" for head in ("AKIA", "ASIA")],
    "github-token": [*(f"gh{kind}_{_some(36)}" for kind in "pousr"), f"github_pat_{_some(22)}_{_some(59)}"],
    "gitlab-token": [f"glpat-{_url64(20)}", f"glrt-{_url64(20)}"],
    "slack-token": [
        f"xoxb-123456789012-1234567890123-{_some(24)}",
        f"xoxp-1234567890-1234567890-12345-{_some(32, _HEX)}",
    ],
    "slack-app-token": [f"xapp-1-A0123456789-1234567890123-{_some(64, _HEX)}"],
    "stripe-key": [f"sk_live_{_some(24)}", f"rk_live_{_some(99)}"],
    "elevenlabs-key": [f"sk_{_some(48, _HEX)}"],
    "twilio-api-key": [f"SK{_some(32, _HEX)}"],
    "npm-token": [f"npm_{_some(36)}"],
    "pypi-token": [f"pypi-AgEIcHlwaS5vcmc{_url64(130)}"],
    "huggingface-token": [f"hf_{_some(34)}", f"api_org_{_some(34)}"],
    "groq-key": [f"gsk_{_some(52)}"],
    "xai-key": [f"xai-{_some(80)}"],
    "perplexity-key": [f"pplx-{_some(48)}"],
    "replicate-token": [f"r8_{_some(37)}"],
    "fireworks-key": [f"fw_{_some(24)}"],
    "together-key": [f"tgp_v1_{_url64(43)}"],
    "cerebras-key": [f"csk-{_some(48, string.ascii_lowercase + string.digits)}"],
    "nvidia-key": [f"nvapi-{_url64(64)}"],
    "langsmith-key": [f"lsv2_pt_{_some(32, _HEX)}_{_some(10, _HEX)}"],
    "tavily-key": [f"tvly-dev-{_some(32)}"],
    "cloudflare-token": [f"cfut_{_some(48)}"],
    "cloudflare-origin-key": [f"v1.0-{_some(24, _HEX)}-{_some(146, _HEX)}"],
    "digitalocean-token": [f"dop_v1_{_some(64, _HEX)}"],
    "doppler-token": [f"dp.pt.{_some(43)}"],
    "linear-key": [f"lin_api_{_some(40)}"],
    "notion-token": [f"ntn_{_some(46)}", f"secret_{_some(43)}"],
    "databricks-token": [f"dapi{_some(32, _HEX)}"],
    "shopify-token": [f"shpat_{_some(32, _HEX)}"],
    "tailscale-key": [f"tskey-auth-{_some(12)}CNTRL-{_some(32)}"],
    "vault-token": [f"hvs.{_url64(95)}"],
    "1password-token": [f"ops_eyJ{_some(400)}=="],
    "age-key": [f"AGE-SECRET-KEY-1{_some(58, 'QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L')}"],
    "supabase-key": [f"sbp_{_some(40, _HEX)}", f"sb_secret_{_url64(22)}_{_url64(8)}"],
    "planetscale-key": [f"pscale_tkn_{_url64(43)}"],
    "postman-key": [f"PMAK-{_some(24, _HEX)}-{_some(34, _HEX)}"],
    "newrelic-key": [f"NRAK-{_some(27, string.ascii_uppercase + string.digits)}"],
    "sentry-token": [f"sntryu_{_some(64, _HEX)}"],
    "grafana-token": [f"glsa_{_some(32)}_{_some(8, _HEX)}"],
    "figma-token": [f"figd_{_url64(43)}"],
    "docker-token": [f"dckr_pat_{_url64(27)}"],
    "atlassian-token": [f"ATATT3{_url64(180)}"],
    "rubygems-key": [f"rubygems_{_some(48, _HEX)}"],
    "pulumi-token": [f"pul-{_some(40, _HEX)}"],
    "llamacloud-key": [f"llx-{_some(48)}"],
    "pinecone-key": [f"pcsk_{_some(6)}_{_some(62)}"],
    "sendgrid-key": [f"SG.{_url64(22)}.{_url64(43)}"],
    "jwt": [f"eyJhbGciOiJIUzI1NiJ9.eyJ{_url64(60)}.{_url64(43)}"],
    "telegram-token": [f"1234567890:{_url64(35)}", f"12345678:AA{_url64(33)}"],
    "webhook-secret": [f"whsec_{_some(32)}", f"whsec_AB/+{_some(28)}"],
}
CASES = [pytest.param(rule, key, id=f"{rule}-{n}") for rule, keys in KEYS.items() for n, key in enumerate(keys)]

# What stands before a key in captured text, and after it.
SURROUNDINGS = [
    ("", ""), (" ", " "), ("KEY=", "\n"), ("\n", "\n"), ("\t", "\t"), ('"', '"'), ("'", "',"), ("/", "/"), ("(", ")"),
    ("\x1b[32m", "\x1b[0m"), ("\x1b[1;38;5;208m", "\x1b[m"), ("\x1b[0m\x1b[K", "\x1b[K"), ("\x1b(B\x1b[m", "\x1b(B"),
    (r"\x1b[0m", r"\x1b[0m"), (r"\033[1m", r"\033[0m"), (r"\u001b[32m", r"\u001b[39m"),
    ("a%3D", "%26b"), ("&quot;", "&quot;"),
    ("<", ">"), ("`", "`"), (",", ","), (":", ""), ("=", "."), ("é", "é"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "key"), CASES)
def test_a_key_is_found_between_anything_and_however_often_it_is_escaped(rule: str, key: str) -> None:
    redactor = Redactor()
    for before, after in SURROUNDINGS:
        plain, marked = (
            f"left{' ' * (not before)}{before}{key}{after}",
            f"left{' ' * (not before)}{before}[REDACTED:{rule}]{after}",
        )
        for depth in range(4):
            found = redactor.redact(plain.encode())
            assert found.data.decode() == marked, (before, depth)
            assert [span.rule for span in found.spans] == [rule]
            plain, marked = json.dumps({"text": [plain]}), json.dumps({"text": [marked]})


@pytest.mark.parametrize(("rule", "key"), CASES)
def test_a_longer_word_that_holds_a_key_format_is_left_alone(rule: str, key: str) -> None:
    text = f"x{key} x_{key}".encode()
    assert rule not in {span.rule for span in Redactor().redact(text).spans}


def test_every_rule_of_the_tables_has_a_sample() -> None:
    assert {name for name, _, _ in (*VENDORS, *DOTTED)} <= set(KEYS)


def test_a_span_names_the_place_of_its_marker_in_the_output() -> None:
    key = KEYS["github-token"][0]
    found = Redactor().redact(f"a {key} b {key}".encode())
    assert [found.data[span.offset :][: span.length] for span in found.spans] == [b"[REDACTED:github-token]"] * 2


@pytest.mark.parametrize(
    ("text", "secret", "rule"),
    [
        ("curl -H 'Authorization: Bearer {}' https://x", f"{_some(20)}.{_some(12)}", "bearer-token"),
        ('curl -H "x-api-key: {}"', _some(32), "api-key-header"),
        ('{{"x-api-key": "{}"}}', _some(32), "api-key-header"),
        ("X-Goog-Api-Key={}", _some(39), "api-key-header"),
        ("Authorization: Basic {}", "dXNlcjpodW50ZXIyIQ==", "authorization"),
        ("aws_secret_access_key = {}", f"{_some(19)}/{_some(9)}+{_some(10)}", "aws-secret-key"),
        ('"SecretAccessKey": "{}"', _some(40), "aws-secret-key"),
        ("AWS_SESSION_TOKEN={}", _some(300), "aws-session-token"),
        ("AccountName=a;AccountKey={};EndpointSuffix=x", f"{_some(40)}+/{_some(44)}==", "azure-account-key"),
        ("https://hooks.slack.com/services/{}", f"T01234567/B01234567/{_some(24)}", "slack-webhook"),
        ("postgres://app:{}@db.internal:5432/x", "s3cr3t!pw", "url-password"),
        ("amqp://app:{}@q", "with@at", "url-password"),
        ("Server=db;User Id=sa;Password={};Encrypt=true", "pa$$w0rd", "connection-password"),
    ],
)  # fmt: skip
def test_what_only_its_surroundings_give_away_is_found(text: str, secret: str, rule: str) -> None:
    plain, marked = text.format(secret), text.format(f"[REDACTED:{rule}]")
    for _ in range(3):
        assert Redactor().redact(plain.encode()).data.decode() == marked
        plain, marked = json.dumps([plain]), json.dumps([marked])


_LINES = [_some(64, _ALNUM + "+/") for _ in range(12)] + [_some(21) + "=="]


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
@pytest.mark.parametrize(
    "gap", ["\n", "\r\n", r"\n", r"\\n", " ", "\n    12\t", "\n    12→", "\n+", "", "%0A", '\\n" +\n"']
)
def test_a_private_key_goes_whole_however_its_lines_are_joined(kind: str, gap: str) -> None:
    block = gap.join([f"-----BEGIN {kind}PRIVATE KEY-----", *_LINES, f"-----END {kind}PRIVATE KEY-----"])
    text = json.dumps({"file": f"before {block} after", "quoted": json.dumps(block)})
    out = Redactor().redact(text.encode()).data.decode()
    assert not [line for line in _LINES if line in out]
    assert json.loads(out)["file"].startswith("before [REDACTED:private-key]")
    assert json.loads(out)["file"].endswith(" after")


def test_a_private_key_as_a_list_of_lines_leaves_a_list() -> None:
    block = ["-----BEGIN PRIVATE KEY-----\n", *(f"{line}\n" for line in _LINES), "-----END PRIVATE KEY-----\n"]
    out = json.loads(Redactor().redact(json.dumps({"source": block, "next": "kept"}, indent=1).encode()).data)
    assert len(out["source"]) == len(block) and out["next"] == "kept"
    assert not set(_LINES) & {line.strip() for line in out["source"]}


def test_a_pgp_block_and_an_encrypted_pem_go_with_their_header_lines() -> None:
    pgp = "\n".join(
        [
            "-----BEGIN PGP PRIVATE KEY BLOCK-----",
            "Version: GnuPG v2",
            "",
            *_LINES,
            "=aBcD",
            "-----END PGP PRIVATE KEY BLOCK-----",
        ]
    )
    pem = "\n".join(
        [
            "-----BEGIN RSA PRIVATE KEY-----",
            "Proc-Type: 4,ENCRYPTED",
            "DEK-Info: AES-128-CBC,00FF",
            "",
            *_LINES,
            "-----END RSA PRIVATE KEY-----",
        ]
    )
    assert Redactor().redact(f"{pgp}\n{pem}".encode()).data == b"[REDACTED:private-key]\n[REDACTED:private-key]"


def test_a_private_key_that_was_cut_off_goes_as_far_as_it_reaches() -> None:
    cut = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(_LINES[:3])
    assert (
        Redactor().redact(f"{cut}\nand so on, said the manual".encode()).data
        == b"[REDACTED:private-key]\nand so on, said the manual"
    )
    assert Redactor().redact(f"{cut}\nMII".encode()).data == b"[REDACTED:private-key]"


def test_strict_also_takes_what_follows_password_on_a_line() -> None:
    text = b'{"password": "hunter2x", "pwd": 123456, "ok": true, "secret": null}\nDB_PASSWORD=abcd1234 # x'
    out = Redactor(strict=True).redact(text).data
    assert out == (
        b'{"password": "[REDACTED:password-line]", "pwd": "[REDACTED:password-line]", "ok": true, "secret": null}'
        b"\nDB_PASSWORD=[REDACTED:password-line] # x"
    )
    assert Redactor().redact(text).data == text
