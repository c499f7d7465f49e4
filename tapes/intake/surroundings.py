"""What is kept of where somebody works: which variables with their values, and values of any shape, redacted.

Of all other variables only the name is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tapes.wire.redact import Redactor

SHOWN_VARIABLES = frozenset(
    [
        "SHELL",
        "TERM",
        "LANG",
        "LC_ALL",
        "TZ",
        "USER",
        "LOGNAME",
        "HOME",
        "PWD",
        "PATH",
        "CI",
        "GITHUB_ACTIONS",
        "NODE_ENV",
        "SSH_CONNECTION",
        "TMUX",
        "VIRTUAL_ENV",
        "CONDA_DEFAULT_ENV",
        "CONDA_PREFIX",
        "PYENV_VERSION",
        "NVM_BIN",
        "RBENV_VERSION",
        "IN_NIX_SHELL",
        "DIRENV_DIR",
        "container",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ROLE_ARN",
        "AWS_CONFIG_FILE",
        "AWS_VAULT",
        "KUBECONFIG",
        "KUBE_CONTEXT",
        "KUBE_NAMESPACE",
        "HELM_KUBECONTEXT",
        "HELM_NAMESPACE",
        "GOOGLE_CLOUD_PROJECT",
        "CLOUDSDK_CORE_PROJECT",
        "CLOUDSDK_CORE_ACCOUNT",
        "CLOUDSDK_ACTIVE_CONFIG_NAME",
        "GCLOUD_PROJECT",
        "AZURE_SUBSCRIPTION_ID",
        "AZURE_DEFAULTS_GROUP",
        "ARM_SUBSCRIPTION_ID",
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "COMPOSE_PROJECT_NAME",
        "TF_WORKSPACE",
        "VAULT_ADDR",
        "NOMAD_ADDR",
        "CONSUL_HTTP_ADDR",
        "PGHOST",
        "PGPORT",
        "PGDATABASE",
        "PGUSER",
        "MYSQL_HOST",
        "RAILS_ENV",
        "DJANGO_SETTINGS_MODULE",
        "APP_ENV",
        "ENVIRONMENT",
        "CLAUDECODE",
        "CLAUDE_CODE_SESSION_ID",
        "CLAUDE_CODE_CHILD_SESSION",
        "CLAUDE_CODE_ENTRYPOINT",
        "AI_AGENT",
        "TRACEPARENT",
        "CODEX_THREAD_ID",
        "CODEX_TOOL_CALL_ID",
        "CODEX_CI",
        "CODEX_SANDBOX",
        "CODEX_SANDBOX_NETWORK_DISABLED",
        "GEMINI_CLI",
        "OPENCODE",
        "OPENCODE_PID",
        "AGENT",
        "SANDBOX",
        "SANDBOX_RUNTIME",
    ]
)

type Environ = Iterable[tuple[bytes, bytes]]


def is_shown(name: bytes) -> bool:
    return name.decode("latin-1") in SHOWN_VARIABLES


def shown(environ: Environ) -> list[tuple[bytes, bytes]]:
    """Those that are kept with their values, by name."""
    return sorted((name, value) for name, value in environ if is_shown(name))


def names(environ: Environ) -> list[bytes]:
    """The names of all others."""
    return sorted(name for name, _ in environ if not is_shown(name))


def environment_of(environ: Mapping[bytes, bytes]) -> dict[str, object]:
    """The two keys that records have for it."""
    return {"environment": [list(row) for row in shown(environ.items())], "variables": names(environ.items())}


def redacted(value: object, where: str, redactor: Redactor, spans: list[list[object]]) -> object:
    """`value` with every text and byte string in it redacted; `spans` gets [where, offset, length, rule] of each
    marker, where a variable's is `environment:NAME`."""
    match value:
        case str():
            data = _clean(value.encode("utf-8", "surrogateescape"), where, redactor, spans)
            return data.decode("utf-8", "backslashreplace")
        case bytes():
            return _clean(value, where, redactor, spans)
        case Mapping():
            return {name: redacted(each, f"{where}:{name}", redactor, spans) for name, each in value.items()}
        case [bytes(name), bytes(data)] if where == "environment":
            return [name, _clean(data, f"{where}:{name.decode('latin-1')}", redactor, spans)]
        case list() | tuple():
            return [redacted(each, where, redactor, spans) for each in value]
        case _:
            return value


def _clean(data: bytes, where: str, redactor: Redactor, spans: list[list[object]]) -> bytes:
    found = redactor.redact(data)
    spans += [[where, span.offset, span.length, span.rule] for span in found.spans]
    return found.data
