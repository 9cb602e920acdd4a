"""eBPF filters on the way through the firmware, with DPDK's testpmd at both ends: in the simulated
FPGA, in software, and in an FPGA that dies on the way."""

import unittest

from lab import eventually, needs_offload, slow
from testpmd import CORES, RoundTrip


class Trips(unittest.TestCase):
    def trip(self, frames=500, **options):
        made = RoundTrip(frames=frames, **options)
        self.addCleanup(made.close)
        return made

    def check(self, counts):
        """What holds in every run: each frame has exactly one end, and testpmd says the same."""
        at_the_end = f"sent {counts.sent}, received {counts.received}: {counts.filter}"
        self.assertEqual(counts.sent, counts.filter["framesIn"], at_the_end)
        self.assertEqual(
            counts.sent, counts.forwarded + counts.filter["droppedByVerdict"] + counts.by_policy,
            at_the_end)
        self.assertEqual(counts.received, counts.forwarded, at_the_end)
        self.assertEqual(len(counts.back), counts.forwarded, at_the_end)

    def check_all_answered(self, counts, filter_name):
        """Every frame got the filter's own verdict, and those that passed came back unchanged and
        in order."""
        self.check(counts)
        self.assertEqual(counts.sent, len(counts.frames))
        wanted = {"passed": len(counts.must("pass")), "droppedByVerdict": len(counts.must("drop")),
                  "aborted": len(counts.must("aborted"))}
        self.assertEqual({name: counts.filter[name] for name in wanted}, wanted, filter_name)
        self.assertEqual(counts.by_policy, wanted["aborted"])
        self.assertEqual(counts.back, counts.must("pass"))

    def check_order(self, counts):
        """What came back was sent, once, and in this order."""
        sent = iter(counts.frames)
        self.assertTrue(all(any(one == other for other in sent) for one in counts.back))


@slow
@needs_offload
class InTheFPGA(Trips):
    def through(self, filter_name):
        trip = self.trip(filter_name=filter_name)
        trip.wait_for_frames(len(trip.frames))
        counts = trip.finish()
        self.check_all_answered(counts, filter_name)
        self.assertEqual(counts.filter["framesToDevice"], counts.sent)
        self.assertEqual(counts.filter["framesFromDevice"], counts.sent)
        device = trip.ctl("ebpf", "fpga")
        self.assertEqual((device["dead"], device["cores"]), (False, CORES))
        self.assertEqual(sum(core["packets"] for core in device["counters"]), counts.sent)
        self.assertEqual(sum(core["faults"] for core in device["counters"]), 0)
        self.assertEqual(trip.end("firmware"), 0)

    def test_drop_dport(self):
        self.through("drop_dport")

    def test_mqtt_allow(self):
        self.through("mqtt_allow")

    def test_count_proto(self):
        self.through("count_proto")

    def test_more_than_it_can_take(self):
        trip = self.trip(frames=1000, flood=True)
        trip.wait_for_frames(1)
        counts = trip.finish()
        self.check(counts)
        self.check_order(counts)
        self.assertGreater(counts.filter["droppedDeviceFull"], 0)
        self.assertEqual(
            counts.filter["framesToDevice"] + counts.filter["droppedDeviceFull"], counts.sent)
        self.assertLessEqual(set(counts.back), set(counts.must("pass")))


@slow
@needs_offload
class InSoftware(Trips):
    def through(self, engine):
        trip = self.trip(engine=engine)
        trip.wait_for_frames(len(trip.frames))
        counts = trip.finish()
        self.check_all_answered(counts, "drop_dport")
        self.assertEqual(counts.filter["framesToDevice"], 0)

    def test_machine_code(self):
        self.through("jit")

    def test_interpreter(self):
        self.through("interpreter")


@slow
@needs_offload
class Dying(Trips):
    """The simulator is killed while frames come. Those that it had, and all later ones, go by the
    policy; a few may find no room while nobody knows yet."""

    def killed(self, policy):
        trip = self.trip(frames=600, dead_device=policy, timeout_milliseconds=500)
        trip.wait_for_frames(200)
        trip.kill_simulator()
        trip.wait_for_frames(len(trip.frames))
        counts = trip.finish()
        self.check(counts)
        self.check_order(counts)
        self.assertEqual(counts.sent, len(counts.frames))
        self.assertEqual(counts.filter["deviceTimeouts"], 1)
        before = counts.filter["framesFromDevice"]
        self.assertGreaterEqual(before, 100)
        self.assertLess(before, counts.sent)
        # One policy has had all that the device has not answered, and the others nothing.
        by = {"software": "softwareDeadDevice", "pass": "passedDeadDevice",
              "drop": "droppedDeadDevice"}
        for other, name in by.items():
            wanted = counts.sent - before - counts.filter["droppedDeviceFull"]
            self.assertEqual(counts.filter[name], wanted if other == policy else 0, name)
        device = trip.ctl("ebpf", "fpga")
        self.assertEqual(
            (device["dead"], device["state"], device["reason"]),
            (True, "dead", "a packet took longer than 500 ms"))
        self.assertEqual(trip.end("firmware"), 0)
        return counts

    def test_software_goes_on(self):
        counts = self.killed("software")
        passing = counts.must("pass")
        self.assertLessEqual(set(counts.back), set(passing))
        full = counts.filter["droppedDeviceFull"]
        self.assertGreaterEqual(len(counts.back), len(passing) - full)
        if not full:
            self.assertEqual(counts.back, passing)

    def test_all_passes(self):
        counts = self.killed("pass")
        self.assertGreater(len(set(counts.back) & set(counts.must("drop"))), 0)
        self.assertEqual(counts.back[-1], counts.frames[-1])

    def test_all_is_dropped(self):
        counts = self.killed("drop")
        first = counts.filter["framesFromDevice"]
        answered = [one for one in counts.frames[:first] if counts.verdict(one) == "pass"]
        self.assertEqual(counts.back, answered)

    def test_it_comes_back(self):
        trip = self.trip(dead_device="drop", frames=1200, timeout_milliseconds=200)
        trip.wait_for_frames(100)
        trip.kill_simulator()
        eventually(lambda: trip.counters()["droppedDeadDevice"], 10, "the policy")
        trip.start_simulator()
        trip.ctl("ebpf", "fpga", "--reset")
        before = trip.counters()
        trip.ctl("ebpf", "load", "uplink", trip.path("filter.bin"), "--engine", "fpga",
                 "--dead-device", "drop")
        trip.wait_for_frames(len(trip.frames))
        counts = trip.finish()
        self.check(counts)
        self.check_order(counts)
        self.assertGreater(counts.filter["framesFromDevice"], before["framesFromDevice"])
        device = trip.ctl("ebpf", "fpga")
        self.assertEqual(
            (device["dead"], sum(core["packets"] for core in device["counters"])),
            (False, counts.filter["framesFromDevice"] - before["framesFromDevice"]))


if __name__ == "__main__":
    unittest.main()
