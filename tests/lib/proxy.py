"""A TCP proxy that counts what passes and cuts connections, so that a registry behind it looks like a bad network."""
import socket
import threading


class Proxy:
    """`with Proxy(port, cut_after=100_000, cuts=3) as proxy: ... proxy.host ...`

    The first `cuts` connections that have carried `cut_after` bytes towards the client are reset there.
    """

    def __init__(self, port: int, cut_after: int = 0, cuts: int = 0, bytes_per_second: int = 0):
        self.target, self.cut_after, self.cuts_left = port, cut_after, cuts
        self.bytes_per_second = bytes_per_second
        self.received = 0  # bytes that reached clients, headers included
        self.cut = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"

    def _may_cut(self) -> bool:
        with self._lock:
            if self.cuts_left == 0:
                return False
            self.cuts_left -= 1
            self.cut += 1
            return True

    def _upstream(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _downstream(self, client: socket.socket, server: socket.socket) -> None:
        carried = 0
        try:
            while data := server.recv(16384):
                if self.cut_after and carried + len(data) > self.cut_after and self._may_cut():
                    break
                client.sendall(data)
                carried += len(data)
                with self._lock:
                    self.received += len(data)
                if self.bytes_per_second:
                    threading.Event().wait(len(data) / self.bytes_per_second)
        except OSError:
            pass
        for side in (client, server):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            side.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            for pump in (self._upstream, self._downstream):
                threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
