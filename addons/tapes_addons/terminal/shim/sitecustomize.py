"""Has the shells that a Python agent starts run under tapes-sh. Read by every Python of one `tapes run` (PYTHONPATH).

Covers subprocess (`shell=True`, and `sh -c` as a list) and a process that becomes a shell (pty, pexpect). It can be
imported by any Python 3, so it uses little of it; whatever goes wrong, the program runs as if it were not there. The
user's own sitecustomize comes after it.
"""


def _settle():
    import json
    import os
    import sys

    told = json.loads("@SETTINGS@")
    ours = os.path.dirname(os.path.abspath(__file__))
    shells = ("sh", "bash", "dash", "ash", "ksh", "mksh", "busybox")

    def value(env, name, without=""):
        found = env.get(name)
        if found is None and env is not os.environ:  # which takes text alone; a program's own may hold bytes
            found = env.get(os.fsencode(name))
        return without if found is None else os.fsdecode(found)

    def wrapped(words, exe, env):
        """`words`, to be run by tapes-sh; None where they are no command of the agent."""
        if not told["supervisor"] or len(words) < 2:
            return None
        words = [os.fsdecode(word) for word in words]
        exe = os.fsdecode(exe or words[0])
        if os.path.basename(exe) not in shells or not any(w.startswith("-") and "c" in w for w in words[1:3]):
            return None
        env = os.environ if env is None else env
        now = ":".join(value(env, name) for name in told["names"])
        before = value(env, "TAPES_SCOPE", None)
        marked = any(value(env, mark) for mark in told["marks"])
        new = marked and now != (told["base"] if before is None else before)
        if not new and (before is not None or not told["unmarked"]):
            return None
        if "/" not in exe:
            path = value(env, "PATH") or os.defpath
            found = [os.path.join(folder, exe) for folder in path.split(os.pathsep)]
            exe = next((name for name in found if os.access(name, os.X_OK)), None)
        if exe is None or not os.access(exe, os.X_OK) or not os.access(told["supervisor"], os.X_OK):
            return None
        was = value(env, "_")
        head = [told["supervisor"], "run", told["fifo"], told["nonce"], now, value(env, "TAPES_COMMAND"), was, exe]
        return [*head, told["how"], "--", *words]

    def for_popen():
        import subprocess

        plain = subprocess.Popen.__init__

        def init(self, args, bufsize=-1, executable=None, *rest, **named):
            try:
                # Positions after `executable`: stdin, stdout, stderr, preexec_fn, close_fds, shell, cwd, env
                shell = named.get("shell", rest[5] if len(rest) > 5 else False)
                env = named.get("env", rest[7] if len(rest) > 7 else None)
                words = [args] if isinstance(args, (str, bytes)) or hasattr(args, "__fspath__") else list(args)
                if shell:
                    words = ["/bin/sh" if executable is None else executable, "-c", *words]
                ours = wrapped(words, executable, env)
            except Exception:
                ours = None
            if ours is None:
                return plain(self, args, bufsize, executable, *rest, **named)
            if shell:
                if len(rest) > 5:
                    rest = (*rest[:5], False, *rest[6:])
                else:
                    named["shell"] = False
            done = plain(self, ours, bufsize, None, *rest, **named)
            self.args = args  # what errors and reprs show
            return done

        subprocess.Popen.__init__ = init

    def for_exec():
        execv, execve = os.execv, os.execve

        def our_execv(path, args):
            try:
                ours = wrapped(list(args), path, None)
            except Exception:
                ours = None
            return execv(path, args) if ours is None else execv(ours[0], ours)

        def our_execve(path, args, env):
            try:
                ours = None if isinstance(path, int) else wrapped(list(args), path, env)
            except Exception:
                ours = None
            return execve(path, args, env) if ours is None else execve(ours[0], ours, env)

        # os.execvp and friends come here as well: they look these names up in their module.
        os.execv, os.execve = our_execv, our_execve

    def chain():
        """The user's own sitecustomize, which Python would have found without us."""
        import importlib.machinery
        import importlib.util

        spec = importlib.machinery.PathFinder.find_spec("sitecustomize", [p for p in sys.path if p != ours])
        if spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            sys.modules["sitecustomize"] = module
            spec.loader.exec_module(module)

    try:
        # The program's own look at sys.path, and that of the Pythons that it starts in another way, stays its own.
        sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != ours]
        if "TAPES_SCOPE" not in os.environ or told["marks"]:
            for_exec()
            for_popen_later(for_popen)
    except Exception:
        pass
    chain()


def for_popen_later(patch):
    """Patches subprocess when it is first imported: most Pythons that read this never do."""
    import sys

    if "subprocess" in sys.modules:
        patch()
        return

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name != "subprocess":
                return None
            sys.meta_path.remove(Finder)
            import importlib.machinery

            spec = importlib.machinery.PathFinder.find_spec(name, path, target)
            if spec is None or spec.loader is None:
                return spec
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                try:
                    patch()
                except Exception:
                    pass

            spec.loader.exec_module = exec_module
            return spec

    sys.meta_path.insert(0, Finder)


_settle()
