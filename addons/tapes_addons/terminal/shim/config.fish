# Marks (see terminal/marks.py) in a fish that `tapes run` started, behind a head that sets __tapes_nonce and
# __tapes_stem. Sourced after the person's own configuration.

function __tapes_escape
    string join -- '\\x0a' (string replace --all -- '\\' '\\\\' $argv[1] | string replace --all -- ';' '\\x3b' |
        string replace --all -- \t '\\x09' | string replace --all --regex -- '[\x01-\x1f\x7f]' ' ')
end

function __tapes_starts --on-event fish_preexec
    printf '\e]633;E;%s;%s;%s\a\e]133;C;aid=%s\a' (__tapes_escape "$argv[1]" | string collect) $__tapes_nonce $__tapes_id $__tapes_nonce
end

function __tapes_ended --on-event fish_postexec
    set -l ended $status
    printf '\e]133;D;%s;aid=%s;id=%s\a' $ended $__tapes_nonce $__tapes_id
end

function __tapes_ready --on-event fish_prompt
    set -g __tapes_count (math $__tapes_count + 1)
    set -g __tapes_id $__tapes_stem(printf '%08x' $__tapes_count)
    set -gx TAPES_COMMAND $__tapes_id
    printf '\e]133;A;aid=%s\a\e]633;P;Cwd=%s;%s\a\e]133;B;aid=%s\a' $__tapes_nonce (__tapes_escape "$PWD" | string collect) $__tapes_nonce $__tapes_nonce
end

set -g __tapes_count 0
set -g __tapes_id $__tapes_stem
