# Marks (see terminal/marks.py) in a zsh that `tapes run` started, behind a head that sets __tapes_nonce and
# __tapes_stem. $? is what it was for the person's own hooks.

__tapes_escape() {
    emulate -L zsh
    local LC_ALL=C number hex char
    typeset -g __tapes_text=${1//\\/\\\\}
    __tapes_text=${__tapes_text//;/\\x3b}
    if [[ $__tapes_text == *[[:cntrl:]]* ]]; then
        for number in {1..31} 127; do
            printf -v hex '%02x' $number
            printf -v char "\\x$hex"
            __tapes_text=${__tapes_text//$char/\\x$hex}
        done
    fi
}

__tapes_ended() {
    local ended=$?
    builtin printf '\e]133;D;%s;aid=%s;id=%s\a' $ended $__tapes_nonce $__tapes_id
    return $ended
}

__tapes_ready() {
    emulate -L zsh
    printf -v __tapes_id '%s%08x' $__tapes_stem $(( ++__tapes_count ))
    export TAPES_COMMAND=$__tapes_id
    __tapes_escape $PWD
    builtin printf '\e]133;A;aid=%s\a\e]633;P;Cwd=%s;%s\a' $__tapes_nonce $__tapes_text $__tapes_nonce
    [[ $PS1 == *$__tapes_end_of_prompt ]] || PS1=$PS1$__tapes_end_of_prompt
}

__tapes_starts() {
    __tapes_escape ${1:-$3}
    builtin printf '\e]633;E;%s;%s;%s\a\e]133;C;aid=%s\a' "$__tapes_text" $__tapes_nonce $__tapes_id $__tapes_nonce
}

if [[ $TERM != dumb ]]; then
    typeset -gi __tapes_count=0
    typeset -g __tapes_id=$__tapes_stem
    typeset -g __tapes_end_of_prompt=$'%{\e]133;B;aid='$__tapes_nonce$'\a%}'
    typeset -ga precmd_functions preexec_functions
    precmd_functions=(__tapes_ended $precmd_functions __tapes_ready)
    preexec_functions+=(__tapes_starts)
fi
