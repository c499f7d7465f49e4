"""What is no key survives byte for byte: signatures, encrypted reasoning, hashes, code, talk about keys."""

from __future__ import annotations

import base64
import json
import random
import uuid

import pytest

from tapes.wire.redact import Redactor

_RANDOM = random.Random(11)


def _untouched(text: str | bytes, redactor: Redactor | None = None) -> None:
    data = text.encode() if isinstance(text, str) else text
    out = (redactor or Redactor([("env:KEY", b"an exact value of 2026")])).redact(data)
    assert out.spans == (), [data[max(0, span.offset - 40) : span.offset + 60] for span in out.spans[:3]]
    assert out.data == data


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, bytes.hex])
def test_megabytes_of_random_encoded_bytes_survive(encode) -> None:  # type: ignore[no-untyped-def]
    signatures = [encode(_RANDOM.randbytes(300)) for _ in range(3000)]
    text = [s if isinstance(s, str) else s.decode() for s in signatures]
    _untouched(json.dumps([{"type": "thinking", "signature": s} for s in text]))
    whole = encode(_RANDOM.randbytes(500_000))
    _untouched(whole)


def test_encrypted_reasoning_uuids_and_hashes_survive() -> None:
    fernet = ["gAAAAAB" + base64.urlsafe_b64encode(_RANDOM.randbytes(600)).decode() for _ in range(200)]
    ids = [str(uuid.UUID(int=_RANDOM.getrandbits(128))) for _ in range(500)]
    hashes = [_RANDOM.randbytes(size).hex() for size in (20, 32, 64) for _ in range(300)]
    _untouched(
        json.dumps(
            {"encrypted_content": fernet, "ids": ids, "hashes": hashes, "images": [f"sha256:{h}" for h in hashes]}
        )
    )


@pytest.mark.parametrize(
    "text",
    [
        "task-list-of-things-to-be-done-in-the-afternoon risk-assessment-for-the-second-quarter-of-2026",
        "sk-learn scikit-learn sk-estimator-html-representation-container-id-1 mask-image-linear-gradient-to-right",
        "sk-dummy sk-ant-dummy sk-ant-api03-dummy sk-proj-dummy sk-test sk-no-key-required sk-xxxxxxxxxxxxxxxxxxxx",
        "AKIA is how access key ids begin; AKIATHISISNOTONEBECAUSEITISLONG; LAKIAXXXXXXXXXXXXXXXX",
        "ghp_ is a prefix, ghp_short too; hf_hub_download_with_progress_and_retries_enabled; npm_config_registry",
        "glob-patterns-of-the-ignore-file-are-listed glib-compile-resources-for-the-build gsk_initialize_the_state",
        "fw_getFirmwareVersionStringFromDevice xoxo-love-and-kisses-from-the-team-here dapibus-vestibulum-molestie",
        "secret_access_key_id_of_the_account secret_name_for_the_kubernetes_deployment_object lin_algebra_solver",
        "-----BEGIN PRIVATE KEY----- is how it begins, and -----END PRIVATE KEY----- is how it ends",
        'if "-----BEGIN RSA PRIVATE KEY-----" in text: raise ValueError("no keys here")',
        "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaM\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEabcdefghijk\n-----END PUBLIC KEY-----",
        'headers["Authorization"] = "Bearer " + token; headers = {"x-api-key": settings.anthropic_api_key_2}',
        '"x-api-key": process.env.ANTHROPIC_API_KEY_2, "Authorization": `Bearer ${process.env.TOKEN_NUMBER_1}`',
        "curl -H 'Authorization: Bearer $OPENAI_API_KEY' -H 'x-api-key: <your-key-number-1>' -H \"api-key: {{key1}}\"",
        "Authorization: Bearer YOUR_API_TOKEN_GOES_HERE and the bearer authentication-scheme-of-the-web",
        "postgres://user:$PASSWORD@host postgres://u:${PGPASS1}@h http://host:8080/a@b ftp://u@h docker://nginx:1.25@sha256:abcdef",
        "mailto:someone@example.com git@github.com:owner/repo.git https://example.com/@scope/pkg@1.2.3 ssh://git@host:22/x",
        "function n(e){return e.password=t.value,a;password=e.target.value}var user=x;password=yy.zz;",
        "{'password': 'hunter2'} password=hunter2 token=abc",
        "at 12:34:56.789012345678901234567890123456 12345678:short 2026-11-21T04:31:00.000000Z 123456789:0",
        "eyJhbGciOiJIUzI1NiJ9 alone, eyJ.eyJ.eyJ, eyJhbGciOiJub25lIn0.notjson.signature",
        "SGVsbG8gd29ybGQsIHRoaXMgaXMganVzdCBhIHRleHQgaW4gYmFzZTY0IHdpdGhvdXQgYW55IHNlY3JldA==",
        "v1.0-rc1 dp.point.of.the.compass.is.a.long.name.of.a.variable hvs.short AQ.short 1//0short SG.short.short",
        "eval(function(p,a,c,k,e,r){e=function(c){return(c<a?'':e(parseInt(c/a)))+((c=c%a)>35?String.fromCharCode(c+29):0)}})",
        "https://example.com/v1/models?key_id=12345678901234567890&token_count=32000",
        "SK0123456789abcdef0123456789abcdef0123456789abcdef is longer; SKU1234567890",
    ],
)
def test_words_that_look_a_little_like_keys_survive(text: str) -> None:
    _untouched(text)
    _untouched(json.dumps({"text": [text]}))
    _untouched(json.dumps(json.dumps({"text": [text]})))


def test_a_marker_in_the_text_survives() -> None:
    _untouched("API_KEY=[REDACTED:env:KEY] and postgres://a:[REDACTED:url-password]@h and Bearer [REDACTED:jwt]")


def test_bytes_that_are_no_text_survive() -> None:
    _untouched(_RANDOM.randbytes(1_000_000))
