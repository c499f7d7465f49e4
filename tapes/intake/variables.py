"""Which variables of an environment are kept with their values: those that say where one is working.

Of all others only the name is kept. The values that are kept are redacted like everything else.
"""

from __future__ import annotations

from collections.abc import Iterable

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
