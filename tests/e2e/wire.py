#!/usr/bin/env python3
"""The wire between the hosts of a test: a switch over one TAP device a host, with a delay, jitter,
loss and rate of the test's choosing, that can cut a host off without a word. It forwards frames
between these hosts and knows no way to anywhere else.

Usage: wire.py SEED NAME=ADDRESS@PID... makes a TAP in the network namespace of each PID, and takes
one JSON object a line from stdin (see `Wire.obey`), each answered by a line; at the end of stdin it
ends, and the devices with it.
"""
import errno
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import time

TUN = "/dev/net/tun"
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, IFF_UP = 0x8914, 0x8916, 0x891C, 0x1
DEVICE = b"wire0"
LONGEST_FRAME = 2048
MOST_WAITING = 10_000
EVERYBODY = b"\xff" * 6


def enter_network_of(pid):
    """From here on, what this process opens belongs to that network namespace."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/proc/{pid}/ns/net") as namespace:
        if libc.setns(namespace.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), f"entering the network namespace of {pid}")


def configure(device, address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        def internet(of):
            return struct.pack("16sH2x4s8x", device, socket.AF_INET, socket.inet_aton(of))
        if address:
            fcntl.ioctl(control, SIOCSIFADDR, internet(address))
            fcntl.ioctl(control, SIOCSIFNETMASK, internet("255.255.255.0"))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", device, IFF_UP))


def make_tap(pid, address):
    enter_network_of(pid)
    tap = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH14x", DEVICE, IFF_TAP | IFF_NO_PI))
    configure(DEVICE, address)
    configure(b"lo", "")
    return tap


class Wire:
    def __init__(self, seed, ports):
        self.random = random.Random(seed)
        self.ports = ports                # name -> TAP
        self.name_of = {tap: name for name, tap in ports.items()}
        self.place_of = {}                # hardware address -> name
        self.cut = set()
        self.delay_s = self.jitter_s = self.loss = 0.0
        self.bytes_a_second = 0           # to each host; 0: without a limit
        self.waiting = []                 # (due, order, name, frame)
        self.last_due = dict.fromkeys(ports, 0.0)
        self.order = 0
        self.counts = {"forwarded": 0, "lost": 0, "cut": 0, "crowded": 0}

    def obey(self, said):
        """{"shape": {"delay_ms", "jitter_ms", "loss", "kbit"}}, {"cut": NAME}, {"mend": NAME}, or
        {"count": true}. Times are for one way; loss is a share of 1."""
        if "shape" in said:
            shape = said["shape"]
            self.delay_s = shape.get("delay_ms", 0) / 1000
            self.jitter_s = shape.get("jitter_ms", 0) / 1000
            self.loss = shape.get("loss", 0)
            self.bytes_a_second = shape.get("kbit", 0) * 125
        if "cut" in said:
            self.cut.add(said["cut"])
        if "mend" in said:
            self.cut.discard(said["mend"])
        return self.counts

    def take(self, tap, now):
        try:
            frame = os.read(tap, LONGEST_FRAME)
        except BlockingIOError:
            return
        if len(frame) < 14:
            return
        sender, receiver = frame[6:12], frame[:6]
        source = self.name_of[tap]
        self.place_of[sender] = source
        if receiver[0] & 1:  # to several
            targets = [name for name in self.ports if name != source]
        else:
            targets = [self.place_of[receiver]] if receiver in self.place_of else []
        for target in targets:
            self.send(source, target, frame, now)

    def send(self, source, target, frame, now):
        if source in self.cut or target in self.cut:
            self.counts["cut"] += 1
            return
        if self.loss and self.random.random() < self.loss:
            self.counts["lost"] += 1
            return
        if len(self.waiting) >= MOST_WAITING:
            self.counts["crowded"] += 1
            return
        due = now + max(0.0, self.delay_s + self.random.uniform(-self.jitter_s, self.jitter_s))
        due = max(due, self.last_due[target])  # frames overtake none of the same receiver
        if self.bytes_a_second:
            due += len(frame) / self.bytes_a_second
        self.last_due[target] = due
        self.order += 1
        heapq.heappush(self.waiting, (due, self.order, target, frame))

    def deliver(self, now):
        """What is due; returns how long until the next is, or none."""
        while self.waiting and self.waiting[0][0] <= now:
            _, _, target, frame = heapq.heappop(self.waiting)
            if target in self.cut:
                self.counts["cut"] += 1
                continue
            try:
                os.write(self.ports[target], frame)
                self.counts["forwarded"] += 1
            except OSError as failed:  # a full queue loses frames, as any does
                if failed.errno not in (errno.EAGAIN, errno.EIO, errno.ENOBUFS):
                    raise
                self.counts["crowded"] += 1
        return self.waiting[0][0] - now if self.waiting else None

    def serve(self):
        poll = select.epoll()
        for tap in self.name_of:
            poll.register(tap, select.EPOLLIN)
        poll.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
        said = b""
        while True:
            next_s = self.deliver(time.monotonic())
            for ready, _ in poll.poll(next_s):
                if ready != sys.stdin.fileno():
                    self.take(ready, time.monotonic())
                    continue
                more = os.read(ready, 4096)
                if not more:
                    return
                said += more
                while b"\n" in said:
                    line, said = said.split(b"\n", 1)
                    print(json.dumps(self.obey(json.loads(line))), flush=True)


def main():
    if not os.path.exists(TUN):
        sys.exit(f"{TUN} is missing: the wire between hosts is made of TAP devices, so this test "
                 "needs a kernel with tun, and in a container that device handed in")
    seed, hosts = int(sys.argv[1]), sys.argv[2:]
    ports = {}
    for host in hosts:
        name, _, where = host.partition("=")
        address, _, pid = where.partition("@")
        try:
            ports[name] = make_tap(int(pid), address)
        except OSError as failed:
            sys.exit(f"a TAP device for {name} cannot be made by {TUN}: {failed}")
    print("{}", flush=True)
    Wire(seed, ports).serve()


if __name__ == "__main__":
    main()
