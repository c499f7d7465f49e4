"""What records, event streams and requests have in common, so that small things compress as well as large ones.

A record of 500 bytes, or an answer of 2 KB, is mostly names: fields, headers, event types. Compressed alone they say
each name once, which is all there is to save. Given this text beforehand (as a zstd dictionary of raw content) they
come to a third. It is part of the archive's format: DICTIONARY must never change, or nothing written before could be
read; a better one gets the next number, in `BY_NUMBER`. Losing it loses the archive, so docs/format.md prints its
digest and how to make it. What is nearest to the end is the cheapest to refer to.
"""

from __future__ import annotations

_HEADERS = """
accept: application/json
accept: text/event-stream
accept-encoding: gzip, deflate, br, zstd
accept-language: *
anthropic-beta: claude-code-20250219,interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14
anthropic-dangerous-direct-browser-access: true
anthropic-organization-id:
anthropic-ratelimit-unified-5h-reset: 17
anthropic-ratelimit-unified-5h-status: allowed
anthropic-ratelimit-unified-5h-utilization: 0.
anthropic-ratelimit-unified-7d-reset: 17
anthropic-ratelimit-unified-7d-status: allowed
anthropic-ratelimit-unified-7d-utilization: 0.
anthropic-ratelimit-unified-fallback-percentage: 0.5
anthropic-ratelimit-unified-overage-status: rejected
anthropic-ratelimit-unified-representative-claim: five_hour
anthropic-ratelimit-unified-reset: 17
anthropic-ratelimit-unified-status: allowed
anthropic-version: 2023-06-01
cache-control: no-cache
cf-cache-status: DYNAMIC
cf-ray:
connection: keep-alive
content-encoding: gzip
content-length:
content-type: application/json
content-type: application/json; charset=utf-8
content-type: text/event-stream
content-type: text/event-stream; charset=utf-8
date: Mon, 05 Jan 2026 00:00:00 GMT
host: api.anthropic.com
host: api.openai.com
host: chatgpt.com
host: generativelanguage.googleapis.com
openai-organization:
openai-processing-ms:
openai-version: 2020-10-01
originator: codex_cli_rs
request-id: req_01
sec-fetch-mode: cors
server: cloudflare
server-timing:
session_id:
strict-transport-security: max-age=31536000; includeSubDomains; preload
transfer-encoding: chunked
user-agent: claude-cli/2.0.0 (external, cli)
user-agent: codex_cli_rs/0.50.0
user-agent: OpenAI/Python 1.0.0
vary: Accept-Encoding
via: 1.1 google
x-app: cli
x-content-type-options: nosniff
x-envoy-upstream-service-time:
x-ratelimit-limit-requests:
x-ratelimit-limit-tokens:
x-ratelimit-remaining-requests:
x-ratelimit-remaining-tokens:
x-ratelimit-reset-requests:
x-ratelimit-reset-tokens:
x-request-id: req_
x-robots-tag: none
x-stainless-arch: x64
x-stainless-lang: js
x-stainless-os: Linux
x-stainless-package-version: 0.60.0
x-stainless-retry-count: 0
x-stainless-runtime: node
x-stainless-runtime-version: v24.3.0
x-stainless-timeout: 600
"""

_STREAMS = """\
data: {"candidates": [{"content": {"parts": [{"text": ""}],"role": "model"},"finishReason": "STOP","index": 0}],\
"usageMetadata": {"promptTokenCount": 1,"candidatesTokenCount": 1,"totalTokenCount": 1,\
"thoughtsTokenCount": 1},"modelVersion": "gemini-2.5-pro","responseId": ""}

data: {"id":"chatcmpl-","object":"chat.completion.chunk","created":17,"model":"gpt-","service_tier":"default",\
"system_fingerprint":null,"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},\
"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":,"completion_tokens":,"total_tokens":,\
"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}
data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_","type":"function",\
"function":{"name":"","arguments":""}}]},"finish_reason":"tool_calls"}]}
data: [DONE]

event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_","object":"response",\
"created_at":17,"status":"in_progress","error":null,"incomplete_details":null,"instructions":null,\
"max_output_tokens":null,"model":"gpt-5","output":[],"parallel_tool_calls":true,"previous_response_id":null,\
"prompt_cache_key":"","reasoning":{"effort":"medium","summary":"auto"},"store":false,"temperature":1.0,\
"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"truncation":"disabled","usage":null,\
"metadata":{}}}
event: response.output_item.added
data: {"type":"response.output_item.added","output_index":0,"item":{"id":"rs_","type":"reasoning",\
"encrypted_content":"gAAAAAB","summary":[]}}
event: response.output_item.done
data: {"type":"response.output_item.done","output_index":1,"item":{"id":"fc_","type":"function_call",\
"status":"completed","arguments":"{\\"cmd\\":\\"\\"}","call_id":"call_","name":"exec_command"}}
event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","item_id":"fc_","output_index":1,"delta":"","obfuscation":""}
event: response.output_text.delta
data: {"type":"response.output_text.delta","content_index":0,"delta":"","item_id":"msg_","logprobs":[],\
"obfuscation":"","output_index":1,"sequence_number":10}
event: response.completed
data: {"type":"response.completed","response":{"status":"completed","usage":{"input_tokens":,\
"input_tokens_details":{"cached_tokens":},"output_tokens":,"output_tokens_details":{"reasoning_tokens":},\
"total_tokens":}}}

event: message_start
data: {"type":"message_start","message":{"model":"claude-","id":"msg_01","type":"message","role":"assistant",\
"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":4,"cache_creation_input_tokens":,\
"cache_read_input_tokens":,"cache_creation":{"ephemeral_5m_input_tokens":,"ephemeral_1h_input_tokens":0},\
"output_tokens":1,"service_tier":"standard"}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"E"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_01","name":"Bash",\
"input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\\"command\\": \\""}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":}}

event: message_stop
data: {"type":"message_stop"}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":""}}
"""

_REQUESTS = """\
{"model":"claude-","max_tokens":32000,"messages":[{"role":"user","content":[{"type":"text","text":"\
<system-reminder>"}]},{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"E"},\
{"type":"text","text":""},{"type":"tool_use","id":"toolu_01","name":"Read","input":{"file_path":"/","offset":,\
"limit":}},{"type":"tool_use","id":"toolu_01","name":"Bash","input":{"command":"","description":""}}]},\
{"role":"user","content":[{"tool_use_id":"toolu_01","type":"tool_result","content":"","is_error":false,\
"cache_control":{"type":"ephemeral"}}]}],"system":[{"type":"text","text":"","cache_control":\
{"type":"ephemeral"}}],"tools":[{"name":"","description":"","input_schema":{"type":"object","properties":{"":\
{"type":"string","description":""}},"required":[""],"additionalProperties":false}}],"stream":true}
{"type":"function_call","name":"exec_command","arguments":"{\\"cmd\\":\\"\\"}","call_id":"call_"},\
{"type":"function_call_output","call_id":"call_","output":""},{"type":"message","role":"user","content":\
[{"type":"input_text","text":""}]},{"type":"reasoning","summary":[],"content":null,"encrypted_content":"gAAAAAB"}
{"role":"tool","tool_call_id":"call_","content":""},{"role":"assistant","content":null,"tool_calls":\
[{"id":"call_","type":"function","function":{"name":"","arguments":""}}]}
"""

_KEYS = [
    "agent",
    "agent_version",
    "argv",
    "connection",
    "cwd",
    "environment",
    "host",
    "how",
    "bytes_up",
    "bytes_down",
    "started_ns",
    "error",
    "kind",
    "text",
    "command",
    "exit",
    "signal",
    "status",
    "line",
    "output",
    "input",
    "name",
    "id",
    "reader",
    "tool.use",
    "tool.result",
    "exchange",
    "command.start",
    "command.output",
    "command.end",
    "outcome",
    "complete",
    "partial",
    "ended",
    "eof",
    "headers_us",
    "duration_us",
    "response",
    "redactions",
    "encoding",
    "gzip",
    "wire_hash",
    "wire_length",
    "decode_error",
    "exchange.end",
    "reason",
    "HTTP/2.0",
    "HTTP/1.1",
    "http",
    "200",
    "OK",
    "times",
    "data",
    "length",
    "offset",
    "n",
    "exchange.part",
    "request",
    "url",
    "https://api.anthropic.com/v1/messages?beta=true",
    "method",
    "POST",
    "class",
    "model",
    "provider",
    "anthropic",
    "openai",
    "route",
    "forward",
    "sent_to",
    "headers",
    "exchange.open",
    "node",
    "hash",
    "length",
    "request",
]


def _bytes(text: str) -> bytes:
    """As canonical CBOR writes a short byte string."""
    data = text.encode()
    return (bytes((0x40 | len(data),)) if len(data) < 24 else bytes((0x58, len(data)))) + data


def _text(text: str) -> bytes:
    data = text.encode()
    return (bytes((0x60 | len(data),)) if len(data) < 24 else bytes((0x78, len(data)))) + data


def _pairs() -> bytes:
    rows = (line.partition(":") for line in _HEADERS.strip("\n").split("\n"))
    return b"".join(b"\x82" + _bytes(name) + _bytes(value.strip()) for name, _, value in rows)


_FRAME = (
    b"\xacav\x01cseq\x01dbody\xa3dnodeX dhashX flength\x19dbootx$dprevX dtypemexchange.open"
    b"enoncePfwriterPgmono_ns\x1bgparents\x81X gsessionX gwall_ns\x1b\x18"
)

DICTIONARY = _STREAMS.encode() + _REQUESTS.encode() + _pairs() + b"".join(map(_text, _KEYS)) + _FRAME
NUMBER = 1
BY_NUMBER = {NUMBER: DICTIONARY}
