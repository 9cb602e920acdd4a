"""dpu-slot: which slot starts, and what never does."""

import unittest

import board
from board import Board, image

def damages(good):
    """What must not be accepted, by a name."""
    manifest = int.from_bytes(good[16:24], "little")
    changed = {
        "magic": 3, "length": 17, "signature": 70, "manifest": 128 + manifest // 2,
        "first file": (128 + manifest + 511) // 512 * 512 + 5, "last file": len(good) - 512,
    }
    for name, place in changed.items():
        data = bytearray(good)
        data[place] ^= 0x10
        yield f"{name} altered", bytes(data)
    for keep in (0, 20, 127, 128 + manifest // 2, 128 + manifest, len(good) // 2, len(good) - 512):
        yield f"cut after {keep}", good[:keep]
    yield "longer than signed", good + bytes(512)
    yield "another's signature", image("1", signer="theirs")
    yield "another processor", image("1", architecture="riscv64")
    yield "another kernel", image("1", kernel="5.4.0-none")


class Slots(unittest.TestCase):
    def setUp(self):
        self.board = Board()
        self.board.put("a", image("1"))

    def good(self):
        self.assertEqual(self.board.boot(), "a")
        self.assertEqual(self.board.slot("healthy"), (0, ""))

    def write_and_try(self, version):
        self.assertEqual(self.board.slot("write", "b", data=image(version)), (0, version))
        self.assertEqual(self.board.slot("try", "b"), (0, ""))

    def test_a_new_board_starts_slot_a_and_keeps_what_works(self):
        self.assertEqual(self.board.boot(), "a")
        self.assertEqual(self.board.status()["slots"][0]["tries"], 2)
        self.board.slot("healthy")
        first = self.board.status()["slots"][0]
        self.assertEqual((first["good"], first["tries"], first["version"]), (True, 3, "1"))
        unpacked = self.board.folder / "slot"
        self.assertEqual((unpacked / "dpu").read_bytes(), b"1" * 2000)
        self.assertEqual((unpacked / "dpu").stat().st_mode & 0o777, 0o755)
        self.assertTrue((unpacked / "modules/order").exists())

    def test_bad_images_are_refused_and_change_nothing(self):
        self.good()
        self.write_and_try("2")
        before = self.board.snapshot()
        for name, data in damages(image("3")):
            with self.subTest(name):
                code, said = self.board.slot("write", "b", data=data)
                self.assertEqual(code, 2, said)
                self.assertIn("refused: ", said)
                self.assertEqual(self.board.snapshot(), before)

    def test_an_image_larger_than_the_slot_is_refused(self):
        self.good()
        code, said = self.board.slot("write", "b", data=image("2").ljust(board.SLOT_BYTES + 1, b"\0"))
        self.assertEqual((code, "of a slot" in said), (2, True), said)

    def test_the_running_slot_is_never_written(self):
        self.good()
        code, said = self.board.slot("write", "a", data=image("2"))
        self.assertEqual((code, said), (2, "dpu-slot: refused: slot a runs"))

    def test_a_trial_is_kept_by_commit(self):
        self.good()
        self.write_and_try("2")
        self.assertEqual(self.board.boot(), "b")
        self.assertEqual(self.board.slot("trial")[0], 0)
        self.board.slot("healthy")
        self.assertEqual(self.board.slot("trial")[0], 0)
        self.assertEqual(self.board.slot("commit"), (0, ""))
        self.assertEqual(self.board.slot("trial")[0], 2)
        self.assertEqual([self.board.boot() for _ in range(2)], ["b", "b"])

    def test_a_trial_that_nobody_commits_is_one(self):
        self.good()
        self.write_and_try("2")
        self.assertEqual([self.board.boot() for _ in range(2)], ["b", "a"])
        self.assertIn("slot b: was started and did not become healthy",
                      self.board.status()["note"])

    def test_a_trial_that_failed_says_why(self):
        self.good()
        self.write_and_try("2")
        self.assertEqual(self.board.boot(), "b")
        self.board.slot("failed", 'ended "at once"')
        self.assertEqual(self.board.boot(), "a")
        self.assertEqual(self.board.status()["note"], "slot b: ended ?at once?")

    def test_a_slot_that_was_altered_on_the_disk_is_not_started(self):
        for name, data in damages(image("2")):
            if name == "longer than signed":  # a slot is always longer
                continue
            with self.subTest(name):
                self.setUp()
                self.good()
                self.write_and_try("2")
                self.board.put("b", data)
                self.assertEqual(self.board.boot(), "a")
                self.assertIn("slot b: ", self.board.status()["note"])
                self.assertFalse((self.board.folder / "slot/dpu").read_bytes() == b"2" * 2000)

    def test_a_good_slot_that_stops_working_gives_way_to_the_other(self):
        self.good()
        self.write_and_try("2")
        self.board.boot()
        self.board.slot("commit")
        self.assertEqual([self.board.boot() for _ in range(4)], ["b", "b", "b", "a"])
        self.board.slot("healthy")
        self.assertEqual(self.board.boot(), "a")

    def test_there_is_no_way_back_behind_a_committed_security_version(self):
        self.good()
        newer = image("2", security=7)
        self.assertEqual(self.board.slot("write", "b", data=newer), (0, "2"))
        self.board.slot("try", "b")
        self.assertEqual(self.board.boot(), "b")
        # On trial it binds nobody.
        self.assertEqual(self.board.status()["securityVersion"], 0)
        self.board.slot("failed", "by itself")
        self.assertEqual(self.board.boot(), "a")
        self.board.slot("try", "b")
        self.assertEqual(self.board.boot(), "b")
        self.assertEqual(self.board.slot("commit"), (0, ""))
        self.assertEqual(self.board.status()["securityVersion"], 7)
        reason = "security version 6; this board has committed 7"
        before = self.board.snapshot()
        self.assertEqual(
            self.board.slot("write", "a", data=image("3", security=6)),
            (2, f"dpu-slot: refused: {reason}"))
        self.assertEqual(
            self.board.slot("try", "a"),
            (2, "dpu-slot: refused: security version 0; this board has committed 7"))
        self.assertEqual(self.board.snapshot(), before)
        # One that was put onto the disk is not started either, not even when nothing else can be.
        self.board.put("a", image("3", security=6))
        self.assertIn(reason, self.board.status()["slots"][0]["state"])
        self.board.put("b", bytes(100))
        self.assertIsNone(self.board.boot())
        self.assertIn(reason, self.board.status()["note"])
        self.assertEqual(
            self.board.slot("write", "a", data=image("4", security=7)), (0, "4"))
        self.board.slot("try", "a")
        self.assertEqual(self.board.boot(), "a")

    def test_a_security_version_that_is_no_number_is_refused(self):
        self.good()
        for security in (-1, 1 << 31):
            code, said = self.board.slot("write", "b", data=image("2", security=security))
            self.assertEqual((code, "no number from 0" in said), (2, True), said)

    def test_rescue_when_nothing_can_be_started(self):
        self.board.put("a", bytes(100))
        self.assertIsNone(self.board.boot())
        self.assertIsNone(self.board.status()["running"])
        self.assertEqual(self.board.slot("write", "a", data=image("2")), (0, "2"))
        self.assertEqual(self.board.slot("try", "a"), (0, ""))
        self.assertEqual(self.board.boot(), "a")

    def test_a_state_that_was_half_written_is_the_one_before(self):
        self.good()
        self.write_and_try("2")
        state = bytearray(self.board.device("state").read_bytes())
        for copy in (0, 4096):
            with self.subTest(copy):
                damaged = bytearray(state)
                damaged[copy + 20:copy + 60] = bytes(40)
                self.board.device("state").write_bytes(damaged)
                self.assertIn(self.board.boot(), ("a", "b"))

    def test_two_at_once_are_refused(self):
        import fcntl
        self.good()
        with open(self.board.device("state"), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.assertEqual(self.board.slot("try", "b"),
                             (2, "dpu-slot: another dpu-slot is at work"))

    def test_wrong_usage(self):
        for words in ((), ("fly",), ("write", "c"), ("boot",), ("--nothing",)):
            self.assertEqual(self.board.slot(*words)[0], 1, words)
