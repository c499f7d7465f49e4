"""The provider's side of a run: down, mistrusted, behind the user's own proxy."""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import HOST, Bench, bench

SCRIPT = {"pace": {"first_ms": 1, "gap_ms": 1, "chars": 16}, "scripts": {"main": [{"text": "All is well."}]}}


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_an_unreachable_provider_is_an_exchange_without_a_response(tmp_path: Path) -> None:
    b = Bench(tmp_path, f"http://127.0.0.1:{closed_port()}")
    done = b.run()
    assert done.returncode == 1
    rows = b.rows("show", "@", "--exchanges")
    assert {(row["outcome"], row["status"]) for row in rows} == {("no_response", None)}
    assert rows[0]["request_bytes"] > 0
    assert b"tapes show" in done.stderr
    b.assert_sound()


def test_a_certificate_that_does_not_check_out_is_refused_unless_told_otherwise(tmp_path: Path) -> None:
    with bench(tmp_path, SCRIPT, "--tls", str(tmp_path / "tls")) as b:
        b.provider_url = b.tls_url
        assert b.run().returncode == 1
        outcomes = Counter(row["outcome"] for row in b.rows("show", "@", "--exchanges"))
        assert outcomes.keys() == {"no_response"}
        assert b.said() == []
        assert b.run(options=["--insecure-upstream"]).returncode == 0
        assert Counter(b.kept()) == Counter(b.said())


class Forward(socketserver.StreamRequestHandler):
    """A company's proxy: every CONNECT, to whatever host, ends at `port`."""

    port = 0
    asked: list[str]

    def handle(self) -> None:
        first = self.rfile.readline().decode()
        header = [first]
        while (line := self.rfile.readline().decode().strip()) != "":
            header.append(line)
        self.asked.append(f"{first.split(' ')[1]} {[h for h in header if h.lower().startswith('proxy-auth')]}")
        with socket.create_connection(("127.0.0.1", self.port)) as upstream:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self._pump, args=(upstream, self.connection), daemon=True)
            back.start()
            self._pump(self.connection, upstream)
            back.join(10)

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return


@contextmanager
def company_proxy(port: int) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    handler = type("Handler", (Forward,), {"port": port, "asked": asked})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://me:secret-of-mine@127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def test_the_users_own_proxy_is_chained_for_model_hosts_and_for_others(tmp_path: Path) -> None:
    with bench(tmp_path, SCRIPT, "--tls", str(tmp_path / "tls")) as b:
        with company_proxy(int(b.tls_url.rpartition(":")[2])) as (proxy, asked):
            b.environ |= {"HTTPS_PROXY": proxy, "NO_PROXY": "internal.example"}
            words = [*b.agent()[1:]]
            other = (
                "import httpx,os; print(httpx.Client(verify=False).get('https://other.example/v1/models').status_code)"
            )
            script = f"import subprocess,sys; c=subprocess.call([sys.executable,*{words!r}]); {other}; sys.exit(c)"
            done = b.tapes("run", "--insecure-upstream", "--", sys.executable, "-c", script)
        assert done.returncode == 0, done.stderr.decode()
        authorization = "['Proxy-Authorization: Basic bWU6c2VjcmV0LW9mLW1pbmU=']"
        assert set(asked) == {f"{HOST}:443 {authorization}", f"other.example:443 {authorization}"}
        assert Counter(b.kept()) == Counter(b.said())
        (row,) = b.rows("show", "@", "--egress")
        assert (row["host"], row["how"]) == ("other.example", "tunnel")
        assert row["bytes_down"] > 0
        assert b"secret-of-mine" not in b.everything()


def test_a_slow_first_byte_and_a_stall_are_only_waited_for(tmp_path: Path) -> None:
    turns = [{"text": "Slow but whole. " * 5, "faults": {"first_byte": 1.2, "stall": {"after": 3, "seconds": 1.2}}}]
    with bench(tmp_path, {"pace": SCRIPT["pace"], "scripts": {"main": turns}}) as b:
        assert b.run().returncode == 0
        (row,) = b.rows("show", "@", "--exchanges")
        assert row["outcome"] == "complete"
        assert row["first_byte_us"] >= 1_200_000
        assert row["duration_us"] >= 2_400_000
        assert Counter(b.kept()) == Counter(b.said())
