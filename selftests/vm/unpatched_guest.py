#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The same BPF object on a kernel without the series: the machine's own, or in the guest
Debian's 6.12. It loads, forwards, says that the NIC's marks are not to be had, and takes
those that stand in front of packets.
"""
import os
import sys
from pathlib import Path

from pair import PATIENCE, REALS, SIM, Pair, said
from tap import run_tests
from netns import Topology, wait_for
from servers import ask_udp, start_udp_echo, udp_socket
from waymark import BUILD, Balancer, SoftNic, attach_decap

KFUNC = b"bpf_xdp_metadata_rx_flow_mark"


def kernel_is_without_the_kfunc():
    assert KFUNC not in Path("/sys/kernel/btf/vmlinux").read_bytes()


def daemon_forwards_in_software():
    with Pair("veth") as net:
        balancer = net.balancer("auto").start()
        status = balancer.ask("status")
        assert (status["lane"], status["mode"], status["adopted"]) == ("meta", "native", False), status
        assert status["offload"]["backend"] == "none", status
        said(balancer, "no rules in the NIC, all in software: offload flower: the driver of eth0 "
             "takes no rules")
        for flow in ({}, {"flags": 16}):
            assert {net.real_of(sport, 3, **flow) for sport in range(4000, 4012)} == set(REALS)
        counters = balancer.counters()
        assert counters["tx_marked"] == 0 and balancer.sent(counters)[0] == 72, counters


def ip_link_loads_it():
    """The file that is installed, by iproute2; then adopted."""
    with Pair("veth") as net:
        balancer = net.balancer("auto")
        net.lb.run(f"ip link set dev eth0 xdp obj {BUILD}/waymark.bpf.o sec xdp")
        prog = balancer.prog_id()
        balancer.start()
        status = balancer.ask("status")
        assert (status["lane"], status["adopted"], status["prog_id"]) == ("meta", True, prog), status
        assert {net.real_of(sport, 3) for sport in range(4000, 4012)} == set(REALS)


def marks_in_front_of_packets():
    """The softnic's, by the backend sim."""
    with Topology(reals=2, vips=1) as net:
        attach_decap(net)
        start_udp_echo(net)
        SoftNic(net)
        balancer = Balancer(net).start()
        assert balancer.ask("status")["lane"] == "meta"
        sock = udp_socket(net, net.vips[0])
        first = ask_udp(sock)

        def marked():
            before = balancer.counters()["tx_marked"]
            assert {ask_udp(sock) for _ in range(12)} == {first}
            return balancer.counters()["tx_marked"] >= before + 12
        wait_for(marked, "packets to come marked", PATIENCE)
        sock.close()


def nic_with_rules_and_no_marks():
    """netdevsim without the series says that it takes rules. They would bring nothing."""
    with Pair() as net:
        balancer = net.balancer("auto")
        net.lb.run("ethtool -K eth0 hw-tc-offload on")
        balancer.start()
        said(balancer, "no rules in the NIC, all in software: eth0 has no flow marks for XDP")
        status = balancer.ask("status")
        assert (status["lane"], status["offload"]["backend"]) == ("meta", "none"), status
        balancer.stop()
        balancer.config["offload"]["backend"] = "flower"
        balancer.write()
        balancer.start()
        said(balancer, "offload flower: rules will bring nothing: eth0 has no flow marks for XDP")
        assert balancer.ask("status")["offload"]["backend"] == "flower"


TESTS = [kernel_is_without_the_kfunc, daemon_forwards_in_software, ip_link_loads_it,
         marks_in_front_of_packets]
if os.path.exists(SIM):
    TESTS.append(nic_with_rules_and_no_marks)

if __name__ == "__main__":
    sys.exit(run_tests(TESTS))
