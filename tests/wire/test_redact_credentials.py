"""Credentials where credentials are expected: headers, URLs and the environment."""

from __future__ import annotations

import base64

import pytest

from tapes.wire.redact import Redactor, secret_variables

TOKEN = b"tok-0123456789-abcdef"


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "proxy-authorization",
        "Cookie",
        "Set-Cookie",
        "X-Api-Key",
        "api-key",
        "x-goog-api-key",
        "X-Amz-Security-Token",
        "x-my-own-token",
        "CF-Access-Client-Secret",
    ],
)
def test_a_credential_header_loses_its_whole_value(name: str) -> None:
    headers, spans = Redactor().headers([(b"Host", b"h"), (name.encode(), TOKEN), (b"Accept", b"*/*")])
    assert headers == [
        (b"Host", b"h"),
        (name.encode(), f"[REDACTED:header:{name.lower()}]".encode()),
        (b"Accept", b"*/*"),
    ]
    assert spans == (("header", name.lower(), f"header:{name.lower()}"),)


def test_headers_that_are_no_credentials_keep_their_values() -> None:
    headers = [
        (b"idempotency-key", b"stainless-python-retry-0f8fad5b-d9cb-469f"),
        (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        (b"chatgpt-account-id", b"0f8fad5b-d9cb-469f-a165-70867728950e"),
        (b"openai-organization", b"org-0123456789abcdef01234567"),
        (b"anthropic-ratelimit-tokens-remaining", b"40000"),
        (b"x-cache-key", b"short"),
        (b"request-id", b"req_011CSHoEeqs5C35K2UUqR7Fy"),
    ]
    assert Redactor().headers(headers) == (headers, ())


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        (b"Authorization", b"Bearer " + TOKEN, [TOKEN]),
        (
            b"authorization",
            b"Basic " + base64.b64encode(b"me:hunter2hunter2"),
            [b"hunter2hunter2", base64.b64encode(b"me:hunter2hunter2")],
        ),
        (b"authorization", TOKEN, [TOKEN]),
        (b"x-api-key", b"sk-dummy", [b"sk-dummy"]),
        (b"Cookie", b"a=1; session=" + TOKEN + b"; b=0123456789abcdefX", [TOKEN, b"0123456789abcdefX"]),
        (b"set-cookie", b"session=" + TOKEN + b"; Path=/a-long-path-that-is-kept; HttpOnly", [TOKEN]),
    ],
)
def test_what_a_credential_header_held_is_sought_everywhere_from_then_on(
    name: bytes, value: bytes, secrets: list[bytes]
) -> None:
    redactor = Redactor()
    redactor.headers([(name, value)])
    for secret in secrets:
        out = redactor.redact(b'{"env": "K=' + secret + b'", "x": "/a-long-path-that-is-kept"}').data
        assert secret not in out and b"[REDACTED:header:%s]" % name.lower() in out
        assert b"/a-long-path-that-is-kept" in out


def test_other_headers_are_searched_like_any_text() -> None:
    redactor = Redactor([("env:X", b"exact-value")])
    headers, spans = redactor.headers(
        [(b"referer", b"https://h/?api_key=abcdef&q=exact-value"), (b"x-note", b"ghp_" + b"a1B2" * 9)]
    )
    assert headers == [
        (b"referer", b"https://h/?api_key=[REDACTED:url-key]&q=[REDACTED:env:X]"),
        (b"x-note", b"[REDACTED:github-token]"),
    ]
    assert [span[1:] for span in spans] == [("referer", "url-key"), ("referer", "env:X"), ("x-note", "github-token")]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (
            b"realtime, openai-insecure-api-key.%s, openai-beta.realtime-v1",
            b"realtime, openai-insecure-api-key.%s, openai-beta.realtime-v1",
        ),
        (b"access_token, %s", b"access_token, %s"),
        (b"bearer.%s", b"bearer.%s"),
    ],
)
def test_a_key_among_the_subprotocols_of_a_websocket_is_cut_out_and_sought_from_then_on(
    value: bytes, kept: bytes
) -> None:
    redactor = Redactor()
    (headers, spans) = redactor.headers([(b"Sec-WebSocket-Protocol", value % TOKEN)])
    assert headers == [(b"Sec-WebSocket-Protocol", kept % b"[REDACTED:header:sec-websocket-protocol]")]
    assert spans
    assert TOKEN not in redactor.redact(b'{"echo":"' + TOKEN + b'"}').data
    assert redactor.headers(headers) == (headers, ())


def test_subprotocols_without_a_key_stay() -> None:
    headers = [
        (b"Sec-WebSocket-Protocol", b"realtime, openai-beta.realtime-v1, graphql-transport-ws, authenticated, json")
    ]
    assert Redactor().headers(headers) == (headers, ())


def test_a_line_that_was_clean_before_is_searched_for_what_has_been_learned_since() -> None:
    redactor = Redactor()
    line = (b"x-trace", b"of " + TOKEN)
    assert redactor.headers([line])[0] == [line]
    assert redactor.headers([line])[0] == [line]
    redactor.learn("header:x", TOKEN)
    assert TOKEN not in redactor.headers([line])[0][0][1]
    after = [line, (b"authorization", b"Bearer other-0123456789-token"), (b"x-other", b"is other-0123456789-token")]
    assert not any(b"0123456789" in value for _, value in redactor.headers(after)[0])


def test_headers_redacted_twice_stay_what_they_are() -> None:
    redactor = Redactor()
    once, _ = redactor.headers([(b"Authorization", b"Bearer " + TOKEN), (b"Referer", b"https://u:p4ss@h/?key=x1")])
    assert redactor.headers(once)[0] == once


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (
            "https://h/v1beta/m:generate?key=AIzaShort&alt=sse",
            "https://h/v1beta/m:generate?key=[REDACTED:url-key]&alt=sse",
        ),
        (
            "https://u:pw@h/?access_token=abc#frag",
            "https://u:[REDACTED:url-password]@h/?access_token=[REDACTED:url-key]#frag",
        ),
        (
            "https://h/b?sv=1&sig=a%2Bb%3D&X-Amz-Signature=00ff",
            "https://h/b?sv=1&sig=[REDACTED:url-key]&X-Amz-Signature=[REDACTED:url-key]",
        ),
        ("/v1/models?limit=20&after_id=key&keyword=x", "/v1/models?limit=20&after_id=key&keyword=x"),
        ("https://h/exact%20value/ü", "https://h/[REDACTED:env:X]/ü"),
    ],
)
def test_a_url_loses_its_credentials_and_keeps_the_rest(url: str, kept: str) -> None:
    redactor = Redactor([("env:X", b"exact value")])
    out, spans = redactor.url(url)
    assert out == kept
    assert redactor.url(out)[0] == out
    assert all(out.encode()[span.offset :][: span.length] == f"[REDACTED:{span.rule}]".encode() for span in spans)


def test_a_key_seen_in_a_url_is_sought_in_bodies() -> None:
    redactor = Redactor()
    redactor.url("https://h/?key=0123456789abcdefghij&token=word")
    assert redactor.redact(b"word 0123456789abcdefghij").data == b"word [REDACTED:url-key]"


@pytest.mark.parametrize(
    "name",
    [
        "OPENAI_API_KEY",
        "CODEX_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "CLIENT_SECRET",
        "PGPASSWORD",
        "DB_PASSWD",
        "SSH_PASSPHRASE",
        "GITHUB_PAT",
        "NPM_TOKEN_2",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "MY_CREDENTIALS",
        "APIKEY",
        "mytoken",
        "dbPassword",
        "SECRET_KEY_BASE",
        "MYSQL_PWD",
    ],
)
def test_a_variable_whose_name_says_so_is_a_secret(name: str) -> None:
    assert secret_variables({name: "v4lue-of-it"}) == [(f"env:{name}", b"v4lue-of-it")]
    assert secret_variables({name.encode(): b"v4lue-of-it"}) == [(f"env:{name}", b"v4lue-of-it")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GPG_KEY", "7169605F62C751356D054A26A821E680E5FA6305"),
        ("PATH", "/usr/bin:/bin"),
        ("PWD", "/home/me/secret-place"),
        ("SSH_AUTH_SOCK", "/tmp/ssh/agent.1"),
        ("GOOGLE_KEY_FILE", "/home/me/key.json"),
        ("SSH_KEY", "~/.ssh/id_ed25519"),
        ("TLS_KEY", "./certs/key.pem"),
        ("WIN_KEY", "C:\\Users\\me\\key.pem"),
        ("MAX_OUTPUT_TOKENS", "32000"),
        ("USE_TOKEN", "true"),
        ("API_KEY", "short12"),
        ("SENTRY_DSN", "https://abcdef0123@o1.ingest.example/1"),
        ("TERM_SESSION_ID", "w0t0p0:0123456789"),
        ("STRIPE_PUBLISHABLE_KEY", "pk_live_0123456789"),
        ("KEYBOARD_LAYOUT", "us-international"),
        ("TOKENIZERS_PARALLELISM", "sometimes-on"),
        ("DATABASE_URL", "postgres://localhost/development"),
        ("DEV_URL", "postgres://postgres:postgres@localhost/x"),
        ("API_BASE_URL", "https://api.example.com/v1/with/token"),
        ("PASSWORD_STORE_DIR", "store-of-passwords"),
    ],
)
def test_a_variable_that_only_sounds_like_it_is_none(name: str, value: str) -> None:
    assert secret_variables({name: value}) == []


def test_of_a_url_with_a_password_only_the_password_is_secret() -> None:
    found = secret_variables(
        {"DATABASE_URL": "postgres://app:p%40ssw0rd1@db.internal/x", "HTTPS_PROXY": "http://me:proxy-pw-1@proxy:3128"}
    )
    assert found == [
        ("env:DATABASE_URL", b"p%40ssw0rd1"),
        ("env:DATABASE_URL", b"p@ssw0rd1"),
        ("env:HTTPS_PROXY", b"proxy-pw-1"),
    ]


def test_a_name_no_marker_could_hold_is_made_to_fit() -> None:
    redactor = Redactor([("env:ODD]NAME ☃", b"value-of-it")])
    out = redactor.redact(b"value-of-it").data
    assert out == b"[REDACTED:env:ODD_NAME__]"
    assert redactor.redact(out).data == out
