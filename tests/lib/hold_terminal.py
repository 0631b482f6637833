"""Run inside a guest: waits on a console socket for a terminal's other end, keeps what it prints, and types what comes by a fifo.
Arguments: where to make the socket, the file to write, and the fifo."""
import array
import os
import select
import socket
import sys


def receive(path: str) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(1)
        peer, _ = listener.accept()
        with peer:
            (_, _, rights), = peer.recvmsg(4096, socket.CMSG_SPACE(4))[1]
    return array.array("i", rights)[0]


def main(path: str, output: str, fifo: str) -> None:
    os.mkfifo(fifo)
    typed = os.open(fifo, os.O_RDWR)  # its end never comes
    with open(output, "wb", buffering=0) as printed:
        master = receive(path)
        while True:
            ready, _, _ = select.select([master, typed], [], [])
            if typed in ready:
                os.write(master, os.read(typed, 4096))
            if master in ready:
                try:
                    printed.write(os.read(master, 4096))
                except OSError:  # nobody has the terminal any more
                    return


if __name__ == "__main__":
    main(*sys.argv[1:])
