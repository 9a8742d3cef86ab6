"""Joins a queue as its consumer and reads 1000 numbers: docs/memory-layout.md and docs/protocol.md, and Python's standard library.

The socket is standard input. Python has no fences, so what this peer may have missed it looks at again a little later: it sleeps at most
a millisecond at a time, and asks for the producer's wake word at each look, not only after it has moved.
"""
import array
import fcntl
import mmap
import os
import select
import socket
import struct
import sys

EXPECTED = 1000
ELEMENT = 8
F_ADD_SEALS, F_GET_SEALS = 1033, 1034
SEALS = 0x1 | 0x2 | 0x4 | 0x10  # seal, shrink, grow, future write
HEADER = struct.Struct("=4sIHHI")
HELLO = struct.Struct("=HHIBBHIQQQBB6x")
VERSION = 2
HELLO_KIND, ACCEPT, REJECT = 1, 2, 3
TAIL, HEAD, WAKE_TAIL, WAKE_HEAD, FINISHED = (4096 + offset for offset in (0, 128, 256, 384, 392))
DATA, ROOM, DONE = 1, 2, 3
WORD = 1 << 64


def segment_size(count):
    return -(-(8192 + count * ELEMENT) // 4096) * 4096


class Queue:
    def __init__(self, sock):
        self.socket = sock
        self.bells = b""
        hello, fds = self.read_hello()
        (low, high, features, role, direction, layout, align, size, self.count, start, schema, _) = hello
        assert low <= VERSION <= high and role == 0 and direction == 1 and layout == 1, hello
        assert size == ELEMENT and align == ELEMENT and self.count & (self.count - 1) == 0, hello
        assert len(fds) == 1, fds
        self.theirs = self.map_theirs(fds[0])
        self.head = self.rung = start
        self.own, own_fd = self.make_own(start)
        self.send(HELLO_KIND, HELLO.pack(VERSION, VERSION, 0, 1, 2, 1, ELEMENT, ELEMENT, 0, 0, 0, 6) + b"python", [own_fd])
        os.close(own_fd)
        self.send(ACCEPT, b"")
        kind, body, fds = self.read_frame()
        assert (kind, body, fds) == (ACCEPT, b"", []), (kind, body)

    # The handshake.

    def read_exactly(self, length):
        data, fds = b"", array.array("i")
        while len(data) < length:
            room = socket.CMSG_SPACE(4 * 4)
            part, control, flags, _ = self.socket.recvmsg(length - len(data), room)
            assert part, "the producer closed the connection"
            for level, kind, value in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(value)
            data += part
        return data, list(fds)

    def read_frame(self):
        header, fds = self.read_exactly(HEADER.size)
        magic, order, kind, version, length = HEADER.unpack(header)
        assert magic == b"mnpf" and order == 0x01020304 and version == VERSION and length <= 1024, header
        body, more = self.read_exactly(length)
        return kind, body, fds + more

    def read_hello(self):
        kind, body, fds = self.read_frame()
        assert kind == HELLO_KIND, kind
        return HELLO.unpack_from(body), fds

    def send(self, kind, body, fds=()):
        frame = HEADER.pack(b"mnpf", 0x01020304, kind, VERSION, len(body)) + body
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        assert self.socket.sendmsg([frame], control) == len(frame)

    def map_theirs(self, fd):
        size = segment_size(self.count)
        stat = os.fstat(fd)
        assert fcntl.fcntl(fd, F_GET_SEALS) & SEALS == SEALS, "not sealed"
        assert stat.st_size == size and stat.st_blocks * 512 >= size, stat
        theirs = mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ)
        os.close(fd)
        assert theirs[:8] == b"memenpsf"
        return theirs

    def make_own(self, start):
        fd = os.memfd_create("memenpsf", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.posix_fallocate(fd, 0, segment_size(0))
        own = mmap.mmap(fd, segment_size(0))
        for word in (HEAD, WAKE_TAIL):
            struct.pack_into("=Q", own, word, start)
        fcntl.fcntl(fd, F_ADD_SEALS, SEALS)
        return own, fd

    # The ring.

    def word(self, offset):
        return struct.unpack_from("=Q", self.theirs, offset)[0]

    def take(self):
        """All that is there now."""
        tail = self.word(TAIL)
        filled = (tail - self.head) % WORD
        assert filled <= self.count, f"tail {tail} for a head of {self.head}"
        slots = [(self.head + i) % self.count for i in range(filled)]
        taken = [struct.unpack_from("=Q", self.theirs, 8192 + slot * ELEMENT)[0] for slot in slots]
        if filled:
            self.head = tail
            struct.pack_into("=Q", self.own, HEAD, self.head)
        self.ring(tail)
        return taken

    def ring(self, tail):
        """Rings if the producer asked for a position behind the last one rung for and up to here."""
        wake = self.word(WAKE_HEAD)
        if (wake - self.rung - 1) % WORD < (self.head - self.rung) % WORD:
            self.rung = wake
            self.socket.send(struct.pack("=QQQ", ROOM, tail, self.head))

    def sleep(self):
        """Until a bell, unless something is there already. True when the producer has finished or is gone."""
        struct.pack_into("=Q", self.own, WAKE_TAIL, (self.head + 1) % WORD)
        if self.word(FINISHED) == 1:
            return True
        if self.word(TAIL) == self.head:
            select.select([self.socket], [], [], 0.001)
        try:
            part = self.socket.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        self.bells += part
        while len(self.bells) >= 24:
            kind, _, _ = struct.unpack_from("=QQQ", self.bells)
            assert kind in (DATA, DONE), kind
            self.bells = self.bells[24:]
        return not part


def main():
    queue = Queue(socket.socket(fileno=os.dup(0)))
    numbers, ended = [], False
    while True:
        numbers += queue.take()
        if ended:
            break
        # After the end there is one more look.
        ended = queue.sleep()
    assert queue.word(FINISHED) == 1, "the producer died"
    assert numbers == [3 * n + 1 for n in range(EXPECTED)], numbers[:10]
    print(f"read {len(numbers)} numbers")


if __name__ == "__main__":
    sys.exit(main())
