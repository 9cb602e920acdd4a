"""The Debian package, the fragment for a BFB, and that the same sources give the same bytes."""

import os
import shutil
import subprocess
import unittest

import board
from board import REPOSITORY, must


def setUpModule():
    global made
    made = board.shared / "first"
    make(made)


def make(folder):
    must(REPOSITORY / "scripts/image.sh", "--out", folder, "--key", board.key("ours")[0],
         "--version", "0.0.1", stderr=subprocess.DEVNULL)


class Packages(unittest.TestCase):
    def unpacked(self):
        root = board.shared / "package"
        shutil.rmtree(root, ignore_errors=True)
        must("dpkg-deb", "-R", self.deb(), root)
        return root

    def deb(self):
        return made / "dpu_0.0.1_arm64.deb"

    def test_what_is_in_the_package(self):
        fields = must("dpkg-deb", "--field", self.deb()).decode()
        for line in ("Package: dpu", "Version: 0.0.1", "Architecture: arm64"):
            self.assertIn(line + "\n", fields)
        listed = {}
        for line in must("dpkg-deb", "--contents", self.deb()).decode().splitlines():
            mode, owner, *_, name = line.split()
            self.assertEqual(owner, "root/root")
            listed[name] = mode
        self.assertEqual(listed["./usr/bin/dpu"], "-rwxr-xr-x")
        self.assertEqual(listed["./etc/dpu/dpu.json"], "-rw-r--r--")
        self.assertIn("./lib/systemd/system/dpu.service", listed)
        self.assertFalse([name for name in listed if "dpushim" in name])
        root = self.unpacked()
        self.assertEqual((root / "DEBIAN/conffiles").read_text(), "/etc/dpu/dpu.json\n")
        self.assertIn("aarch64", must("file", root / "usr/bin/dpu").decode())

    def test_the_configuration_is_accepted_by_the_firmware(self):
        # Not the group of its sockets, which the package makes.
        must("qemu-aarch64-static", REPOSITORY / "build/arm64/dpu", "--check-config",
             self.unpacked() / "etc/dpu/dpu.json", stderr=subprocess.STDOUT)

    def test_the_unit(self):
        root = self.unpacked()
        if shutil.which("systemd-analyze") is None:
            self.skipTest("no systemd-analyze")
        for target in ("basic", "sysinit", "shutdown", "multi-user", "network-pre"):
            (root / f"lib/systemd/system/{target}.target").write_text("[Unit]\n")
        said = subprocess.run(
            ["systemd-analyze", "verify", f"--root={root}", "--man=no", "dpu.service"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
        self.assertEqual(said.stdout, "")
        self.assertEqual(said.returncode, 0)
        must("systemd-analyze", "security", "--offline=true", "--threshold=45", f"--root={root}",
             "dpu.service", stderr=subprocess.STDOUT)

    def test_maintainer_scripts_are_shell(self):
        for name in ("postinst", "prerm", "postrm"):
            must("sh", "-n", self.unpacked() / "DEBIAN" / name)

    def test_the_same_sources_give_the_same_bytes(self):
        again = board.shared / "again"
        make(again)
        for name in sorted(os.listdir(made)):
            self.assertEqual((made / name).read_bytes(), (again / name).read_bytes(), name)

    def test_slot_and_disk(self):
        image = (made / "dpu.image").read_bytes()
        with open(made / "disk.img", "rb") as disk:
            disk.seek(2 << 20)
            self.assertEqual(disk.read(len(image)), image)
        code, said = board.Board().slot("check", made / "dpu.image")
        self.assertEqual(code, 2)
        self.assertIn("for aarch64; this machine is", said)


class BFB(unittest.TestCase):
    """bf.cfg as the installer of a BFB sources it, with a folder in place of /mnt and a `chroot`
    that writes down what it is told."""

    def install(self, settings=""):
        self.root = board.shared / "mnt"
        shutil.rmtree(self.root, ignore_errors=True)
        for folder in ("var/tmp", "etc/sysctl.d", "etc/dpu"):
            (self.root / folder).mkdir(parents=True)
        text = (made / "bf.cfg").read_text().replace("root=/mnt ", f"root={self.root} ")
        self.assertIn(str(self.root), text)
        script = board.shared / "bf.cfg"
        script.write_text(settings + text)
        return subprocess.run(["bash", "-euc", f"""
            chroot() {{
              shift
              echo "$@" >>{self.root}/calls
              case $1 in dpkg) cp {self.root}${{!#}} {self.root}/package ;; esac
              [ "${{FAIL:-}}" != "$1" ]
            }}
            . {script}
            bfb_modify_os"""], env={**os.environ, "FAIL": self.fails}).returncode

    fails = ""

    def test_installs_the_package(self):
        self.assertEqual(self.install(), 0)
        self.assertEqual((self.root / "package").read_bytes(),
                         (made / "dpu_0.0.1_arm64.deb").read_bytes())
        self.assertEqual((self.root / "calls").read_text(),
                         "dpkg --force-confold --install /var/tmp/dpu.deb\n")
        self.assertEqual(os.listdir(self.root / "var/tmp"), [])
        self.assertEqual((self.root / "etc/sysctl.d/60-dpu.conf").read_text(),
                         "vm.nr_hugepages = 512\n")

    def test_a_configuration_enables_the_service(self):
        self.assertEqual(self.install("DPU_CONFIG='{\"schema\": 1}'\nDPU_HUGE_PAGES=64\n"), 0)
        self.assertEqual((self.root / "etc/dpu/dpu.json").read_text(), '{"schema": 1}\n')
        self.assertIn("64", (self.root / "etc/sysctl.d/60-dpu.conf").read_text())
        self.assertEqual((self.root / "calls").read_text().splitlines()[1:],
                         ["dpu --check-config /etc/dpu/dpu.json", "systemctl enable dpu.service"])

    def test_what_fails_is_said(self):
        for self.fails in ("dpkg", "dpu"):
            self.assertNotEqual(self.install("DPU_CONFIG='{}'\n"), 0)

    def test_the_fragment_is_shell(self):
        must("bash", "-n", made / "bf.cfg")
